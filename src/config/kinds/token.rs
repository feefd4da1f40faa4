//! The kind of the tokens that open the API.

use toml::Value;

use super::{ValueKind, each_of, items_of};
use crate::config::secret::ApiToken;
use crate::domain::ids::Organization;

/// The fewest characters of a token: what can be guessed protects nothing.
const SHORTEST: usize = 16;

/// Tokens, each for all organizations or, as `organization:token`, for one.
pub(in crate::config) struct ApiTokens;

impl ApiTokens {
    /// Reads one; the error never quotes a token.
    fn read(item: &str) -> Result<ApiToken, String> {
        let (organization, token) = match item.split_once(':') {
            Some((organization, token)) => {
                let parsed = Organization::new(organization);
                let named = parsed.map_err(|_| "what stands before a : is no organization")?;
                (Some(named), token)
            }
            None => (None, item),
        };
        let fits = |c: char| c.is_ascii_graphic() && !",:;".contains(c);
        if token.len() < SHORTEST || !token.chars().all(fits) {
            return Err(format!(
                "a token has at least {SHORTEST} visible ASCII characters and no comma, colon or \
                 semicolon; make one with: openssl rand -hex 32"
            ));
        }
        Ok(ApiToken::new(organization, token))
    }
}

impl ValueKind for ApiTokens {
    type Value = Vec<ApiToken>;

    fn parse(&self, given: &Value) -> Result<Vec<ApiToken>, String> {
        each_of(&items_of(given)?, Self::read)
    }

    fn print(&self, value: &Vec<ApiToken>) -> Option<Value> {
        super::list(value)
    }

    fn allowed(&self) -> String {
        "a list of tokens, each by itself or as organization:token".into()
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
                ApiToken::new(Some(acme), "fedcba9876543210")
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
    fn a_token_that_is_short_or_bound_to_nothing_is_refused_without_being_quoted() {
        for wrong in [
            "short",
            "two words:0123456789abcdef",
            "0123456789abcde ü",
            "a:b:0123456789abcdef",
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
