//! How the values of flags are read, and refused in words that do not come from a parser.

use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::domain::outcome::Outcome;
use crate::store::delivery_log::FAILED;

/// A whole number from `least` to `most`.
pub(super) fn whole<N>(
    least: N,
    most: N,
) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static
where
    N: FromStr + PartialOrd + Display + Copy + Send + Sync + 'static,
{
    move |text| match text.parse() {
        Ok(number) if least <= number && number <= most => Ok(number),
        _ => Err(format!("write a whole number from {least} to {most}")),
    }
}

/// A whole number that is not below `least`.
pub(super) fn at_least<N>(
    least: N,
) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static
where
    N: FromStr + PartialOrd + Display + Copy + Send + Sync + 'static,
{
    move |text| match text.parse() {
        Ok(number) if least <= number => Ok(number),
        _ => Err(format!("write a whole number, {least} or more")),
    }
}

/// Any number.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "write a number, as in 2 or 1.5".to_owned())
}

/// Where to listen.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let problem = "write an IP address and a port, as in 127.0.0.1:9000 or [::1]:9000";
    text.parse().map_err(|_| problem.to_owned())
}

/// The name of an outcome, or what stands for all but a good one.
pub(super) fn outcome(text: &str) -> Result<String, String> {
    let names = Outcome::NAMES;
    match names.contains(&text) || text == FAILED {
        true => Ok(text.to_owned()),
        false => Err(format!("there are {}, {FAILED}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_value_is_refused_with_what_would_be_one() {
        for said in [
            whole(200_u16, 599)("99").unwrap_err(),
            whole(200_u16, 599)("abc").unwrap_err(),
        ] {
            assert_eq!(said, "write a whole number from 200 to 599");
        }
        assert_eq!(whole(200_u16, 599)("204"), Ok(204));
        let said = at_least(1_usize)("0").unwrap_err();
        assert_eq!(said, "write a whole number, 1 or more");
        assert!(number("nan").is_err() && number("x").is_err());
        assert!(address("127.0.0.1").unwrap_err().contains("a port"));
        assert!(outcome("nope").unwrap_err().contains("connect_failed"));
        assert_eq!(outcome("timeout").as_deref(), Ok("timeout"));
    }
}
