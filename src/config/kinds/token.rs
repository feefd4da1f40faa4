//! The kind of the tokens that open the API.

use toml::Value;

use super::{ValueKind, each_of, items_of};
use crate::config::secret::ApiToken;
use crate::domain::ids::Organization;

/// The fewest characters of a token: what can be guessed protects nothing.
const SHORTEST: usize = 16;

/// What stands in the place of an organization where all of them are meant.
const ALL: &str = "*";

/// The most characters of a token's name.
const LONGEST_NAME: usize = 64;

/// Tokens, each for all organizations or, as `organization:token`, for one; with a name, as
/// `organization:name:token` or `*:name:token`.
pub(in crate::config) struct ApiTokens;

impl ApiTokens {
    /// Reads one; the error never quotes a token.
    fn read(item: &str) -> Result<ApiToken, String> {
        let (before, token) = item.rsplit_once(':').unwrap_or((ALL, item));
        let (organization, name) = match before.split_once(':') {
            Some((organization, name)) => (organization, Some(name)),
            None => (before, None),
        };
        let bound = match organization {
            ALL => None,
            organization => {
                let parsed = Organization::new(organization);
                Some(parsed.map_err(|_| "what stands before a : is no organization")?)
            }
        };
        let fits = |c: char| c.is_ascii_graphic() && !",:;".contains(c);
        if token.len() < SHORTEST || !token.chars().all(fits) {
            return Err(format!(
                "a token has at least {SHORTEST} visible ASCII characters and no comma, colon or \
                 semicolon; make one with: openssl rand -hex 32"
            ));
        }
        let read = ApiToken::new(bound, token);
        match name {
            None => Ok(read),
            Some(name) if is_name(name) => Ok(read.named(name)),
            Some(_) => Err(format!(
                "the name of a token has 1 to {LONGEST_NAME} letters, digits, dots, dashes, \
                 underscores and @"
            )),
        }
    }
}

fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    (1..=LONGEST_NAME).contains(&text.len()) && text.chars().all(fits)
}

impl ValueKind for ApiTokens {
    type Value = Vec<ApiToken>;

    fn parse(&self, given: &Value) -> Result<Vec<ApiToken>, String> {
        let items = items_of(given)?;
        // Of two that are the same the first would count, whomever the second is for.
        let token = |item: &str| item.rsplit(':').next().unwrap_or(item).to_owned();
        let texts: Vec<_> = items.iter().map(|item| token(item)).collect();
        let before =
            |text: &String, place: usize| texts[..place].iter().position(|one| one == text);
        let mut places = texts.iter().enumerate();
        if let Some((one, two)) =
            places.find_map(|(place, text)| Some((before(text, place)?, place)))
        {
            return Err(format!(
                "token #{} is token #{} again: give each its own, made with: openssl rand -hex 32",
                two + 1,
                one + 1
            ));
        }
        let tokens = each_of(&items, Self::read)?.into_iter();
        let placed = tokens.zip(1..).map(|(token, place)| token.placed(place));
        Ok(placed.collect())
    }

    fn print(&self, value: &Vec<ApiToken>) -> Option<Value> {
        super::list(value)
    }

    fn allowed(&self) -> String {
        "a list of tokens, each by itself, as organization:token or as organization:name:token"
            .into()
    }

    fn show_given(&self, _: &Value) -> String {
        "***".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_for_all_or_for_one_organization_and_never_printed() {
        let given = Value::String("0123456789abcdef, acme:fedcba9876543210".into());
        let tokens = ApiTokens.parse(&given).expect("two tokens");
        let acme = Organization::new("acme").expect("an organization");
        assert_eq!(
            tokens,
            [
                ApiToken::new(None, "0123456789abcdef"),
                ApiToken::new(Some(acme), "fedcba9876543210").placed(2)
            ]
        );
        let shown = format!("{tokens:?} {:?}", ApiTokens.print(&tokens));
        assert!(
            !shown.contains("0123") && !shown.contains("fedc"),
            "{shown}"
        );
        assert!(shown.contains("acme:***"), "{shown}");
    }

    #[test]
    fn a_token_that_is_there_twice_is_refused_whomever_it_is_for() {
        let read = |text: &str| ApiTokens.parse(&Value::String(text.to_owned()));
        let same = "sixteen-letters-x";
        for text in [
            format!("{same},{same}"),
            format!("acme:{same},other:{same}"),
            format!("*:bob:{same},another-token-of-16,acme:{same}"),
        ] {
            let said = read(&text).err().unwrap();
            assert!(said.contains("is token #1 again"), "{said}");
            assert!(!said.contains(same), "{said}");
        }
    }

    #[test]
    fn a_token_may_have_a_name_and_is_else_called_by_its_place() {
        let given = "0123456789abcdef,acme:alice:0123456789abcdee,*:b@example.org:0123456789abcded,\
                     *:0123456789abcdec";
        let tokens = ApiTokens.parse(&Value::String(given.into()));
        let tokens = tokens.expect("four tokens");
        let names: Vec<String> = tokens.iter().map(ApiToken::name).collect();
        assert_eq!(names, ["token #1", "alice", "b@example.org", "token #4"]);
        let bound: Vec<bool> = tokens.iter().map(|t| t.organization().is_some()).collect();
        assert_eq!(bound, [false, true, false, false]);
        let shown: Vec<String> = tokens.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["***", "acme:alice:***", "*:b@example.org:***", "***"]
        );
    }

    #[test]
    fn a_token_that_is_short_or_bound_to_nothing_is_refused_without_being_quoted() {
        for wrong in [
            "short",
            "two words:0123456789abcdef",
            "0123456789abcde ü",
            "a:b:c:0123456789abcdef",
            "a:two words:0123456789abcdef",
            "a:token #1:0123456789abcdef",
            "a::0123456789abcdef",
            ":0123456789abcdef",
            "*:*:0123456789abcdef",
            "0123456789abcdef;",
        ] {
            let reason = ApiTokens
                .parse(&Value::String(wrong.into()))
                .expect_err(wrong);
            assert!(!reason.contains(wrong), "{reason}");
        }
        assert_eq!(
            ApiTokens.parse(&Value::String(String::new())),
            Ok(Vec::new())
        );
    }
}
