//! Which URLs can be an endpoint. Where one leads is checked at the time of each connection, by
//! [`egress`](super::egress).

use sha2::{Digest as _, Sha256};
use url::Url;

/// Names an endpoint among workers without its URL, which may hold a secret.
pub fn fingerprint(url: &Url) -> u64 {
    let digest = Sha256::digest(url.as_str());
    u64::from_be_bytes(std::array::from_fn(|index| digest[index]))
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
    #[error("the URL cannot be read ({0}); write it in full, like https://example.com/hooks")]
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
    #[error("the URL has no host")]
    NoHost,
    /// The URL is longer than receivers accept.
    #[error("the URL has {0} characters; at most 2048 are accepted")]
    TooLong(usize),
}

/// Takes `text` as an endpoint if `rules` allow it.
pub fn endpoint(text: &str, rules: EndpointRules) -> Result<Url, InvalidUrl> {
    if text.len() > 2048 {
        return Err(InvalidUrl::TooLong(text.len()));
    }
    let mut url = Url::parse(text)?;
    match url.scheme() {
        "https" => {}
        "http" if rules.allow_http => {}
        "http" => {
            let mend = "only https is allowed here (allow_http = true would allow http)";
            return Err(InvalidUrl::Scheme("http".to_owned(), mend));
        }
        other => return Err(InvalidUrl::Scheme(other.to_owned(), "it must be https")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidUrl::Credentials);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(InvalidUrl::NoHost);
    }
    url.set_fragment(None);
    Ok(url)
}
