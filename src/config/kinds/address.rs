//! Kinds that say where: connection URLs, networks, and where to listen.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use toml::Value;
use url::Url;

use super::{ValueKind, each_of, items_of, list, text_of};
use crate::config::secret::Redacted;
use crate::domain::endpoint::unreadable;

/// The URL of a server, password and all.
pub(in crate::config) struct ConnectionUrl {
    /// The schemes that are understood: the plain one, then the one with TLS.
    pub schemes: [&'static str; 2],
    /// A URL that would do on a developer's machine.
    pub example: &'static str,
}

impl ConnectionUrl {
    /// Takes the text apart; the error says what is wrong and never quotes it.
    fn take_apart(text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(unreadable)?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err("it names no host behind ://".into());
        }
        // An unescaped '/', '?' or '#' in a password ends the part that it can be told from, and
        // the rest of it would be printed as a path.
        if [
            url.path(),
            url.query().unwrap_or(""),
            url.fragment().unwrap_or(""),
        ]
        .concat()
        .contains('@')
        {
            return Err(
                "it has an @ behind the host: write / ? # @ in a password as %2F %3F %23 %40"
                    .into(),
            );
        }
        Ok(url)
    }

    /// The URL without its password.
    fn redact(mut url: Url) -> String {
        // Fails for a URL without a host only, and that has no password.
        if url.password().is_some() && url.set_password(Some("***")).is_err() {
            return "***".into();
        }
        url.into()
    }
}

impl ValueKind for ConnectionUrl {
    type Value = Redacted;

    fn parse(&self, given: &Value) -> Result<Redacted, String> {
        let text = text_of(given)?;
        let url = Self::take_apart(text)?;
        if self.schemes.contains(&url.scheme()) {
            Ok(Redacted::new(text, Self::redact(url)))
        } else {
            Err(String::new())
        }
    }

    fn print(&self, value: &Redacted) -> Option<Value> {
        Some(Value::String(value.to_string()))
    }

    fn allowed(&self) -> String {
        format!(
            "a URL that starts with {}:// or {}://",
            self.schemes[0], self.schemes[1]
        )
    }

    fn show_given(&self, given: &Value) -> String {
        let shown = given
            .as_str()
            .and_then(|text| Self::take_apart(text.trim()).ok())
            .map(Self::redact);
        shown.map_or_else(|| "***".into(), |shown| format!("{shown:?}"))
    }

    fn example(&self) -> &'static str {
        self.example
    }
}

/// An address and port to listen on.
pub(in crate::config) struct ListenAddress;

impl ValueKind for ListenAddress {
    type Value = SocketAddr;

    fn parse(&self, given: &Value) -> Result<SocketAddr, String> {
        text_of(given)?.parse().map_err(|_| String::new())
    }

    fn print(&self, value: &SocketAddr) -> Option<Value> {
        Some(Value::String(value.to_string()))
    }

    fn allowed(&self) -> String {
        "an IP address and a port, as in 127.0.0.1:8080 or [::1]:8080; port 0 takes a free one"
            .into()
    }
}

/// Networks, each as a CIDR or a single address.
pub(in crate::config) struct Networks;

impl Networks {
    fn read(item: &str) -> Result<IpNet, String> {
        if let Ok(address) = item.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let network: IpNet = item.parse().map_err(|_| format!("{item:?} is none"))?;
        // A host's address with a short prefix is more likely a slip than a wish for the whole.
        match network.trunc() {
            whole if whole == network => Ok(network),
            whole => Err(format!(
                "{item:?} has bits set behind its prefix: write {whole} for the network, {} for the address",
                network.addr()
            )),
        }
    }
}

impl ValueKind for Networks {
    type Value = Vec<IpNet>;

    fn parse(&self, given: &Value) -> Result<Vec<IpNet>, String> {
        each_of(&items_of(given)?, Self::read)
    }

    fn print(&self, value: &Vec<IpNet>) -> Option<Value> {
        list(value)
    }

    fn allowed(&self) -> String {
        "a list of networks, as in 10.1.0.0/16, fd00::/8 or 10.1.2.3".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMQP: ConnectionUrl = ConnectionUrl {
        schemes: ["amqp", "amqps"],
        example: "",
    };

    fn text(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn a_url_keeps_its_password_and_prints_without() {
        for given in [
            "amqp://me:hunter2@rabbit:5672/%2f?heartbeat=10",
            "amqps://me:hunter2@[::1]/v",
        ] {
            let url = AMQP.parse(&text(given)).expect(given);
            assert_eq!(url.expose(), given);
            assert_eq!(url.to_string(), given.replace("hunter2", "***"));
            assert!(!format!("{url:?}").contains("hunter2"));
        }
        let plain = AMQP.parse(&text("amqp://rabbit")).expect("a host will do");
        assert_eq!(plain.to_string(), "amqp://rabbit");
    }

    #[test]
    fn however_a_url_is_wrong_its_password_is_not_shown() {
        for wrong in [
            "http://me:hunter2@rabbit/",
            "amqp:me:hunter2@rabbit",
            "amqp//me:hunter2@rabbit",
            "me:hunter2@rabbit",
            "amqp://me:hunter2@",
            "amqp://me:hunter2@rabbit:port/",
            "amqp://me:12/hunter2@rabbit/",
            "amqp://me:12#hunter2@rabbit/",
            "amqp://me:12?hunter2@rabbit/",
            "redis://:hunter2@rabbit/",
        ] {
            let reason = AMQP.parse(&text(wrong)).expect_err(wrong);
            assert!(!reason.contains("hunter2"), "{wrong}: {reason}");
            let shown = AMQP.show_given(&text(wrong));
            assert!(!shown.contains("hunter2"), "{wrong}: {shown}");
        }
        assert_eq!(
            AMQP.show_given(&text("http://me:hunter2@rabbit/")),
            "\"http://me:***@rabbit/\""
        );
    }

    #[test]
    fn a_bare_address_is_a_network_of_one() {
        let networks = Networks
            .parse(&text("127.0.0.1, ::1,10.0.0.0/8"))
            .expect("three networks");
        assert_eq!(
            networks.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["127.0.0.1/32", "::1/128", "10.0.0.0/8"]
        );
        assert_eq!(Networks.parse(&text("")), Ok(vec![]));
    }

    #[test]
    fn a_network_with_host_bits_is_refused_with_both_readings() {
        let reason = Networks
            .parse(&text("10.1.2.3/8,nonsense,10.0.0.0/33"))
            .expect_err("three mistakes");
        for part in [
            "write 10.0.0.0/8 for the network, 10.1.2.3 for the address",
            "\"nonsense\"",
            "\"10.0.0.0/33\"",
        ] {
            assert!(reason.contains(part), "{reason}");
        }
    }
}
