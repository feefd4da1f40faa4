//! The configuration as a whole: what wins, what is refused, what is shown.

mod mistakes;
mod reading;
mod shown;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use super::*;

/// The text that must appear nowhere.
const PASSWORD: &str = "hunter2";

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("room for it");
    file
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn load(text: &str, variables: &[(&str, &str)], flags: &[Flag]) -> Result<Loaded, ConfigError> {
    Config::load(Some(file(text).path()), env(variables), flags)
}

fn mistakes(text: &str, variables: &[(&str, &str)]) -> Vec<Mistake> {
    load(text, variables, &[])
        .expect_err("it has mistakes")
        .mistakes
}

/// The one mistake of a configuration, as a person reads it.
fn mistake(text: &str, variables: &[(&str, &str)]) -> String {
    match mistakes(text, variables).as_slice() {
        [one] => one.to_string(),
        all => panic!("not one mistake but {all:#?}"),
    }
}
