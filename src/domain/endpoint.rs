//! Which URLs can be an endpoint. Where one leads is checked at the time of each connection, by
//! [`egress`](super::egress).

use sha2::{Digest as _, Sha256};
use url::Url;

/// Names an endpoint among workers without its URL, which may hold a secret.
pub fn fingerprint(url: &Url) -> u64 {
    let digest = Sha256::digest(url.as_str());
    u64::from_be_bytes(std::array::from_fn(|index| digest[index]))
}

/// What stands in the place of a query that is not shown.
const HIDDEN_QUERY: &str = "***";

/// An endpoint as it is shown and put on record: its query may hold a credential, and is hidden.
pub fn shown(url: &str) -> String {
    match url.split_once(['?', '#']) {
        // A fragment is never sent.
        Some((rest, _)) if !url[rest.len()..].starts_with('?') => rest.to_owned(),
        Some((rest, query)) if !query.is_empty() => format!("{rest}?{HIDDEN_QUERY}"),
        _ => url.to_owned(),
    }
}

/// Whether the query of an endpoint is hidden.
pub fn is_hidden(url: &str) -> bool {
    url.split_once('?')
        .is_some_and(|(_, query)| query == HIDDEN_QUERY)
}

/// Why a text is no URL, in words.
pub fn unreadable(error: url::ParseError) -> String {
    use url::ParseError as E;
    let said = match error {
        E::RelativeUrlWithoutBase => "it begins with no scheme, such as https://",
        E::EmptyHost => "it names no host",
        E::InvalidPort => "its port is no number from 1 to 65535",
        E::IdnaError | E::InvalidDomainCharacter => "its host is no name",
        E::InvalidIpv4Address => "its host is no IPv4 address",
        E::InvalidIpv6Address => "its host is no IPv6 address",
        other => return other.to_string(),
    };
    said.to_owned()
}

/// Whether nobody sees this character, so that it was hardly typed: a copied text brings such along.
/// They are the format characters of Unicode that stand alone, without a script of their own.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Which endpoints this deployment allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointRules {
    /// Whether plain http is allowed beside https.
    pub allow_http: bool,
}

/// Why a URL cannot be an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// The URL does not parse.
    #[error("the URL cannot be read: {}; write it in full, like https://example.com/hooks", unreadable(*.0))]
    Unreadable(#[from] url::ParseError),
    /// The URL is not http or https, or http where only https is allowed.
    #[error("the URL's scheme is {0:?}; {1}")]
    Scheme(String, &'static str),
    /// The URL carries a user name or a password.
    #[error(
        "the URL must not carry a user name or password; send a header of the webhook's own instead"
    )]
    Credentials,
    /// The URL has no host.
    #[error("the URL has no host; write it in full, like https://example.com/hooks")]
    NoHost,
    /// Its host is neither an address nor a name that could be resolved.
    #[error("{0:?} is no host's name; write that of one host, like hooks.example.com")]
    Host(String),
    /// The URL names port 0.
    #[error("nothing listens on port 0; write another, or leave it out")]
    NoPort,
    /// White space, a line break or another control character is in it.
    #[error("the URL has white space or a control character in it; leave it out, or write %20")]
    Blank,
    /// A character that nobody sees is in it.
    #[error("the URL has the invisible character U+{:04X} in it; leave it out", u32::from(*.0))]
    Invisible(char),
    /// What is behind the scheme is not two slashes and a host.
    #[error(
        "the URL must go on with two slashes and the host behind its scheme, like https://example.com/hooks"
    )]
    Slashes,
    /// A backslash is in it.
    #[error("the URL has a backslash in it; write it with slashes, or as %5C")]
    Backslash,
    /// A whole URL stands behind the scheme.
    #[error("the URL has its scheme twice; write it once")]
    TwoSchemes,
    /// Its query is the mask of one that is not shown, or has that in it.
    #[error(
        "the URL's query stands as {HIDDEN_QUERY}, which is how one is hidden: write it in full, or \
         leave the URL as it was"
    )]
    Hidden,
    /// The URL is longer than receivers accept.
    #[error("the URL has {0} characters; at most 2048 are accepted")]
    TooLong(usize),
}

/// Takes `text` as an endpoint if `rules` allow it. White space at its ends does not belong to it.
pub fn endpoint(text: &str, rules: EndpointRules) -> Result<Url, InvalidUrl> {
    let text = text.trim();
    if text.len() > 2048 {
        return Err(InvalidUrl::TooLong(text.len()));
    }
    // The parser puts up with these as browsers do, which was hardly meant.
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(InvalidUrl::Blank);
    }
    if let Some(unseen) = text.chars().find(|c| is_invisible(*c)) {
        return Err(InvalidUrl::Invisible(unseen));
    }
    if text.contains('\\') {
        return Err(InvalidUrl::Backslash);
    }
    let mut url = Url::parse(text)?;
    match url.scheme() {
        "https" => {}
        "http" if rules.allow_http => {}
        "http" => {
            let mend = "only https is allowed here (allow_http = true would allow http)";
            return Err(InvalidUrl::Scheme("http".to_owned(), mend));
        }
        other => {
            let mend = match rules.allow_http {
                true => "it must be https or http",
                false => "it must be https",
            };
            return Err(InvalidUrl::Scheme(other.to_owned(), mend));
        }
    }
    let rest = text[url.scheme().len()..].strip_prefix("://");
    // Such with one slash name a host `https` and an empty port.
    if rest.is_some_and(|rest| rest.starts_with("http:/") || rest.starts_with("https:/")) {
        return Err(InvalidUrl::TwoSchemes);
    }
    if rest.is_none_or(|rest| rest.starts_with('/')) {
        return Err(InvalidUrl::Slashes);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidUrl::Credentials);
    }
    check_host(&url)?;
    if url.query().is_some_and(has_mask) {
        return Err(InvalidUrl::Hidden);
    }
    url.set_fragment(None);
    Ok(url)
}

/// Whether a part of `query` is the mask: of one that was added to, or that was encoded on its way.
fn has_mask(query: &str) -> bool {
    let is_mask = |part: &str| part.replace("%2A", "*").replace("%2a", "*") == HIDDEN_QUERY;
    query.split('&').any(is_mask)
}

fn check_host(url: &Url) -> Result<(), InvalidUrl> {
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or(InvalidUrl::NoHost)?;
    if ["http", "https"].contains(&host) && url.path().starts_with("//") {
        return Err(InvalidUrl::TwoSchemes);
    }
    if url.domain().is_some_and(|name| !is_host_name(name)) {
        return Err(InvalidUrl::Host(host.to_owned()));
    }
    match url.port() {
        Some(0) => Err(InvalidUrl::NoPort),
        _ => Ok(()),
    }
}

/// Whether a resolver could know the name (RFC 1035, 2.3.4; underscores, which some have, as well).
fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(is_part);
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: EndpointRules = EndpointRules { allow_http: true };

    #[test]
    fn what_a_url_looks_like_is_taken() {
        for (text, taken) in [
            ("https://example.com", "https://example.com/"),
            (
                " https://example.com/a%20b?c=d#e\n",
                "https://example.com/a%20b?c=d",
            ),
            ("https://example.com/?q=***", "https://example.com/?q=***"),
            ("HTTPS://Example.COM./a//b", "https://example.com./a//b"),
            (
                "https://my_host.internal:8443/",
                "https://my_host.internal:8443/",
            ),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("http://[::1]:80/", "http://[::1]/"),
            ("http://127.1/https://x", "http://127.0.0.1/https://x"),
            ("https://https/", "https://https/"),
        ] {
            assert_eq!(endpoint(text, HTTP).unwrap().as_str(), taken, "{text:?}");
        }
    }

    #[test]
    fn of_an_endpoint_everything_is_shown_but_its_query() {
        for (url, expected) in [
            ("https://example.com/a/b", "https://example.com/a/b"),
            (
                "https://example.com/a?token=x&y=%20",
                "https://example.com/a?***",
            ),
            ("https://example.com/a?x?y", "https://example.com/a?***"),
            ("https://example.com/a?", "https://example.com/a?"),
            ("https://example.com/a#b?c", "https://example.com/a"),
            ("https://example.com/a?b#c", "https://example.com/a?***"),
            ("no url?secret", "no url?***"),
        ] {
            assert_eq!(shown(url), expected);
            assert_eq!(shown(expected), expected, "to hide twice is to hide once");
        }
    }

    #[test]
    fn what_was_hardly_meant_is_refused() {
        let host = |name: &str| InvalidUrl::Host(name.to_owned());
        for (text, problem) in [
            ("https://https://example.com/", InvalidUrl::TwoSchemes),
            ("https://http://example.com/", InvalidUrl::TwoSchemes),
            ("https://https:/example.com/", InvalidUrl::TwoSchemes),
            (
                "\u{feff}https://example.com/",
                InvalidUrl::Invisible('\u{feff}'),
            ),
            ("https:\\\\example.com\\a", InvalidUrl::Backslash),
            ("https://example.com\\a", InvalidUrl::Backslash),
            ("https:example.com", InvalidUrl::Slashes),
            ("https:/example.com", InvalidUrl::Slashes),
            ("https:///example.com", InvalidUrl::Slashes),
            ("https://*.example.com/", host("*.example.com")),
            ("https://a..example.com/", host("a..example.com")),
            ("https://.example.com/", host(".example.com")),
            ("https://example.com:0/", InvalidUrl::NoPort),
            ("https://example.com/a\nb", InvalidUrl::Blank),
            ("https://exa\tmple.com/", InvalidUrl::Blank),
            ("https://example.com/a b", InvalidUrl::Blank),
            (
                "https://example.com/a\u{200b}b",
                InvalidUrl::Invisible('\u{200b}'),
            ),
            (
                "https://exa\u{ad}mple.com/",
                InvalidUrl::Invisible('\u{ad}'),
            ),
            (
                "https://example.com/\u{202e}moc",
                InvalidUrl::Invisible('\u{202e}'),
            ),
            ("https://user@example.com/", InvalidUrl::Credentials),
            ("https://example.com/a?***", InvalidUrl::Hidden),
            ("https://example.com/a?***&b=c", InvalidUrl::Hidden),
            ("https://example.com/a?b=c&***", InvalidUrl::Hidden),
            ("https://example.com/a?%2A%2a*", InvalidUrl::Hidden),
        ] {
            assert_eq!(endpoint(text, HTTP).unwrap_err(), problem, "{text:?}");
        }
        let long = format!("https://{}.com/", "a".repeat(64));
        assert!(matches!(
            endpoint(&long, HTTP),
            Err(InvalidUrl::Host(_) | InvalidUrl::Unreadable(_))
        ));
    }
}
