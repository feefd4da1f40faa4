//! How lists are printed: a table for people, one JSON array for machines.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::printable::is_obeyed;

/// Prints `rows` under `header`; `empty` is said instead when there are none. Without a terminal,
/// and so without a `width`, the table has no borders and is not fitted, so that it can be cut and
/// searched.
pub fn print(
    out: &mut impl Write,
    width: Option<u16>,
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    empty: &str,
) -> io::Result<()> {
    let mut table = Table::new();
    if let Some(width) = width {
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
    } else {
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(header.iter().copied());
    let rows = rows
        .into_iter()
        .map(|row| row.into_iter().map(one_line).collect::<Vec<_>>());
    table.add_rows(rows);
    if table.is_empty() {
        return writeln!(out, "{empty}");
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Prints `items` as one JSON array, an item a line.
pub fn json_array<T: Serialize>(out: &mut impl Write, items: &[T]) -> io::Result<()> {
    write!(out, "[")?;
    for (index, item) in items.iter().enumerate() {
        let separator = if index == 0 { "\n" } else { ",\n" };
        write!(out, "{separator}{}", serde_json::to_string(item)?)?;
    }
    writeln!(out, "{}]", if items.is_empty() { "" } else { "\n" })
}

/// Escapes what a terminal would obey, line breaks among them: text from elsewhere must not be able to
/// draw on a terminal, nor to turn about what stands beside it.
pub fn one_line(text: String) -> String {
    if text.contains(is_obeyed) {
        text.escape_debug().to_string()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_says_so() {
        let mut out = Vec::new();
        print(&mut out, None, &["id"], [], "none yet").unwrap();
        assert_eq!(out, b"none yet\n");
        let mut out = Vec::new();
        json_array::<u8>(&mut out, &[]).unwrap();
        assert_eq!(out, b"[]\n");
    }

    #[test]
    fn a_list_is_one_json_array() {
        let mut out = Vec::new();
        json_array(&mut out, &["a", "b"]).unwrap();
        let back: Vec<String> = serde_json::from_slice(&out).unwrap();
        assert_eq!(back, ["a", "b"]);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut out = Vec::new();
        print(
            &mut out,
            None,
            &["body"],
            [
                vec!["\u{1b}[31mred\n".to_owned()],
                vec!["\u{202e}exe".to_owned()],
            ],
            "",
        )
        .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        assert!(text.contains("\\u{1b}[31mred\\n"), "{text:?}");
    }
}
