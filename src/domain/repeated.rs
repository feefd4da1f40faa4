//! What an answer repeats of what is secret of its webhook: kept out of the record.
//!
//! Servers like to say what they were asked: a redirect's page links to where it leads, query included,
//! and a page of an error shows the request with its headers. On record that would be a credential in
//! the clear, for whoever may read the Delivery Log.

use std::borrow::Cow;

use url::Url;
use url::form_urlencoded::byte_serialize;

use super::webhook::Webhook;

/// What stands in its place.
const HIDDEN: &[u8] = b"***";

/// What is shorter is no credential, and stands in many texts by chance.
const SHORTEST: usize = 8;

/// So many are looked for at most: the webhook's owner chooses how many there are, and every attempt pays.
const MOST: usize = 48;

/// Where a body is cut off, so much of a beginning is hidden too.
const SHORTEST_BEGINNING: usize = 4;

/// Hides in `body`, the beginning of an answer or all of it, what it repeats of the query of the
/// webhook's URL, of the values of its headers and of its secrets; as they are, and as they are written
/// within HTML, JSON and URLs. `cut` says that the body went on.
pub fn hidden(body: Vec<u8>, cut: bool, webhook: &Webhook) -> Vec<u8> {
    let shortest = if cut { SHORTEST_BEGINNING } else { SHORTEST };
    if body.len() < shortest {
        return body;
    }
    let mut needles: Vec<Vec<u8>> = secrets(webhook)
        .iter()
        .flat_map(|secret| as_written(secret))
        .collect();
    // Of two that begin alike the longer one.
    needles.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    needles.dedup();
    without(body, cut, &needles)
}

/// The same of a text, the whole of it.
pub fn hidden_text(text: String, webhook: &Webhook) -> String {
    let bytes = hidden(text.into_bytes(), false, webhook);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn secrets(webhook: &Webhook) -> Vec<Cow<'_, [u8]>> {
    let [mut secrets, values] = of_query(&webhook.url);
    for (_, value) in &webhook.headers {
        let value = value.as_bytes();
        secrets.push(value.into());
        // `Bearer TOKEN`: the token alone.
        secrets.extend(value.splitn(2, |byte| *byte == b' ').nth(1).map(Cow::from));
    }
    let signing = webhook.secrets.iter().map(|(secret, _)| secret.key());
    secrets.extend(signing.map(Cow::from));
    secrets.extend(values);
    secrets.retain(|secret| secret.len() >= SHORTEST);
    secrets.truncate(MOST);
    secrets
}

/// The query, and each value in it by itself.
fn of_query(url: &Url) -> [Vec<Cow<'_, [u8]>>; 2] {
    let Some(query) = url.query().filter(|query| !query.is_empty()) else {
        return Default::default();
    };
    let bytes = |text: Cow<'_, str>| Cow::Owned(text.into_owned().into_bytes());
    let mut secrets = vec![Cow::from(query.as_bytes())];
    if query.len() < SHORTEST {
        // With what stands around it, it is not there by chance.
        secrets.push(bytes(format!("{}?{query}", url.path()).into()));
    }
    let raw = query.split('&').filter_map(|pair| pair.split_once('='));
    let raw = raw.map(|(_, value)| Cow::from(value.as_bytes()));
    let mut values: Vec<_> = url.query_pairs().map(|(_, value)| bytes(value)).collect();
    values.extend(raw);
    values.sort_unstable();
    values.dedup();
    [secrets, values]
}

/// `secret` as it is, and as it is written within other texts.
fn as_written(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec()];
    if let Ok(text) = str::from_utf8(secret) {
        let html = text.replace('&', "&amp;").replace('<', "&lt;");
        let html = html.replace('>', "&gt;").replace('"', "&quot;");
        let json = text.replace('\\', "\\\\").replace('"', "\\\"");
        // PHP writes slashes so.
        forms.extend([html, json.replace('/', "\\/"), json].map(String::into_bytes));
    }
    forms.push(byte_serialize(secret).collect::<String>().into_bytes());
    forms
}

fn without(body: Vec<u8>, cut: bool, needles: &[Vec<u8>]) -> Vec<u8> {
    // Every attempt comes by here, and next to none repeats anything.
    let mut begins = [false; 256];
    for first in needles.iter().filter_map(|needle| needle.first()) {
        begins[usize::from(*first)] = true;
    }
    let mut kept = Vec::with_capacity(body.len());
    let mut rest = body.as_slice();
    while let Some(first) = rest.first() {
        if !begins[usize::from(*first)] {
            kept.push(*first);
            rest = &rest[1..];
            continue;
        }
        let starts = |needle: &&Vec<u8>| rest.starts_with(needle);
        // Cut off within one of them.
        let ends = cut
            && rest.len() >= SHORTEST_BEGINNING
            && needles.iter().any(|needle| needle.starts_with(rest));
        if ends {
            kept.extend_from_slice(HIDDEN);
            break;
        }
        let taken = match needles.iter().find(starts) {
            Some(needle) => {
                kept.extend_from_slice(HIDDEN);
                needle.len()
            }
            None => {
                kept.push(*first);
                1
            }
        };
        rest = &rest[taken..];
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::EndpointRules;
    use crate::domain::secret::Secret;
    use crate::domain::webhook::WebhookDocument;

    fn webhook() -> Webhook {
        let document = serde_json::json!({
            "version": 1, "id": "w", "name": "w",
            "url": "https://example.com/hook?a=1&token=s3cr3t/t0ken&v=a%2Fb%20c%2Fd%2Fe",
            "secrets": [{"value": "signing-secret"}],
            "headers": {"Authorization": "Bearer b34rer-token", "X-Team": "blue", "X-Odd": "a\"b<c>d&e\"f"},
        });
        let document: WebhookDocument = serde_json::from_value(document).unwrap();
        Webhook::from_document(&document, EndpointRules::default(), Secret::new).unwrap()
    }

    fn shown(body: &str, cut: bool) -> String {
        String::from_utf8(hidden(body.as_bytes().to_vec(), cut, &webhook())).unwrap()
    }

    #[test]
    fn what_an_answer_repeats_of_its_webhooks_secrets_is_hidden_however_it_is_written() {
        for (body, expected) in [
            (
                "<a href=\"https://example.com/hook/?a=1&amp;token=s3cr3t/t0ken&amp;v=a%2Fb%20c%2Fd%2Fe\">here</a>",
                "<a href=\"https://example.com/hook/?***\">here</a>",
            ),
            (
                "POST /hook?a=1&token=s3cr3t/t0ken&v=a%2Fb%20c%2Fd%2Fe HTTP/1.1",
                "POST /hook?*** HTTP/1.1",
            ),
            (
                r#"{"token": "s3cr3t\/t0ken", "v": "a/b c/d/e"}"#,
                r#"{"token": "***", "v": "***"}"#,
            ),
            (
                "next=a%3D1%26token%3Ds3cr3t%2Ft0ken%26v%3Da%252Fb%2520c%252Fd%252Fe",
                "next=***",
            ),
            (
                "Authorization: Bearer b34rer-token\nX-Team: blue",
                "Authorization: ***\nX-Team: blue",
            ),
            ("invalid token b34rer-token.", "invalid token ***."),
            (
                r#"["a\"b<c>d&e\"f", "a&quot;b&lt;c&gt;d&amp;e&quot;f"]"#,
                r#"["***", "***"]"#,
            ),
            ("not signed with signing-secret!", "not signed with ***!"),
            ("b34rer-tokenb34rer-token", "******"),
            ("ok", "ok"),
            (
                "s3cr3t is the beginning of it alone",
                "s3cr3t is the beginning of it alone",
            ),
        ] {
            assert_eq!(shown(body, false), expected);
        }
    }

    #[test]
    fn what_is_cut_off_within_a_secret_is_hidden_too() {
        assert_eq!(
            shown("Authorization: Bearer b34r", true),
            "Authorization: ***"
        );
        assert_eq!(shown("token: b34rer-toke", true), "token: ***");
        assert_eq!(shown("token: b34rer-toke", false), "token: b34rer-toke");
        assert_eq!(shown("token: b34", true), "token: b34");
    }

    #[test]
    fn a_short_query_is_hidden_behind_its_path_alone() {
        let mut webhook = webhook();
        webhook.url = "https://example.com/hook?k=abc".parse().unwrap();
        let text = "Cannot POST /hook?k=abc; k=abcd".to_owned();
        assert_eq!(hidden_text(text, &webhook), "Cannot POST ***; k=abcd");
    }
}
