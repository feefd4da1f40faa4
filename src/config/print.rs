//! The configuration for people and machines: the default file, and what holds and who said so.

use serde_json::json;

use super::mistake::Source;
use super::reader::Entry;

/// The top of the default file.
const HEADER: &str = "\
# The configuration of prism-webhooks, with every key at its default.
#
# A key is given here, by its environment variable (named below each; empty counts as not
# set; items of lists between commas), or by a flag (--set KEY=VALUE; --namespace, --amqp-url,
# --redis-url). Flags win over variables, variables over this file. The file is named by
# --config or PRISM_CONFIG. Check it with `prism-webhooks config check`.
#
# Durations are written 250ms, 10s, 1m30s, 6h, 3d; sizes 64KiB, 1MiB.
";

/// The default file: every key with its documentation; those without a default commented out.
pub(super) fn default_file(entries: &[Entry], tables: &[(&str, &[&str])]) -> String {
    let mut file = HEADER.to_owned();
    for_each(entries, |entry, opens| {
        file.push('\n');
        if let Some(table) = opens {
            let docs = tables
                .iter()
                .find(|(name, _)| *name == table)
                .map_or(&[][..], |(_, docs)| *docs);
            comment(&mut file, docs);
            file.push_str(&format!("[{table}]\n\n"));
        }
        comment(&mut file, entry.doc);
        comment(
            &mut file,
            &[
                &format!(" Must be {}.", entry.allowed),
                &format!(" {}", entry.variable()),
            ],
        );
        let (_, name) = entry.table_and_name();
        file.push_str(&match &entry.default {
            Some(default) => format!("{name} = {default}\n"),
            None => format!("# {name} = {:?}\n", entry.example),
        });
    });
    file
}

/// Prints the settings in force as TOML, each with its source beside it and secrets as `***`.
pub(super) fn effective_toml(entries: &[Entry]) -> String {
    let mut text = String::new();
    for_each(entries, |entry, opens| {
        if let Some(table) = opens {
            text.push_str(&format!("\n[{table}]\n"));
        }
        let (_, name) = entry.table_and_name();
        text.push_str(&match &entry.value {
            // A line break in the name of a file would end the comment.
            Some(value) => format!(
                "{name} = {value} # {}\n",
                entry.source.to_string().replace('\n', " ")
            ),
            None => format!("# {name} is not set\n"),
        });
    });
    text
}

/// Prints the settings in force as JSON: key path → value and source; null for what is not set.
pub(super) fn effective_json(entries: &[Entry]) -> serde_json::Value {
    let row = |entry: &Entry| {
        // Every value is text, a number, a switch or a list of texts: there is nothing that JSON
        // could not hold.
        let value = serde_json::to_value(&entry.value).unwrap_or_default();
        let source = entry.source.to_string();
        let kind = match entry.source {
            Source::Default => "default",
            Source::File { .. } => "file",
            Source::Environment(_) => "environment",
            Source::Flag(_) => "flag",
        };
        (
            entry.path.to_owned(),
            json!({ "value": value, "kind": kind, "source": source }),
        )
    };
    serde_json::Value::Object(entries.iter().map(row).collect())
}

/// Goes over the keys; with each comes the table that it opens, if it is the first of one.
fn for_each(entries: &[Entry], mut row: impl FnMut(&Entry, Option<&str>)) {
    let mut open = "";
    for entry in entries {
        let (table, _) = entry.table_and_name();
        row(entry, (table != open).then_some(table));
        open = table;
    }
}

/// Doc comments as TOML comments: each line begins with the space that stood behind its slashes.
fn comment(file: &mut String, lines: &[&str]) {
    for line in lines {
        file.push_str(&format!("#{line}\n"));
    }
}
