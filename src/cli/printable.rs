//! Text of somebody else's as a terminal may have it. It may hold sequences that a terminal would
//! obey, and marks that turn the order of what follows about, so that it reads as something else:
//! these are shown, as JSON would write them, so that JSON stays what it is.

use std::io::{self, Write};

use crate::domain::direction;

/// The first byte of the control characters from U+0080 on.
const C1: u8 = 0xc2;

/// The first byte of the characters that [`is_obeyed`] names beyond those.
const GENERAL_PUNCTUATION: u8 = 0xe2;

/// The byte before that of a colour, with which our own log draws on a terminal.
const ESCAPE: u8 = 0x1b;

/// Whether a terminal would do something at `c` instead of showing it.
pub fn is_obeyed(c: char) -> bool {
    c.is_control() || direction::turns(c)
}

/// A line with what a terminal would obey escaped, tabs excepted.
pub fn printable(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\t' => text.push(c),
            c if is_obeyed(c) => text.push_str(&direction::shown(c)),
            c => text.push(c),
        }
    }
    text
}

/// The same of each line.
pub fn printable_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

/// Passes on what is written, with what a terminal would obey escaped. Line ends and tabs stay.
#[derive(Debug)]
pub struct PrintableWriter<W> {
    inner: W,
    /// The last bytes, if it depends on the next what becomes of them.
    pending: Vec<u8>,
    colours: bool,
}

impl<W: Write> PrintableWriter<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            pending: Vec::new(),
            colours: false,
        }
    }

    /// Writes to `inner`, and lets through what changes colours: for what has escaped others' already.
    pub fn coloured(inner: W) -> Self {
        Self {
            colours: true,
            ..Self::new(inner)
        }
    }

    fn escaped(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len());
        for byte in bytes.iter().copied() {
            // Nearly all of what is written.
            if self.pending.is_empty() && matches!(byte, b' '..=b'~' | b'\n' | b'\t') {
                text.push(byte);
                continue;
            }
            let goes_on = match self.pending.as_slice() {
                [b'\r'] => byte == b'\n',
                [] => true,
                _ => matches!(byte, 0x80..=0xbf),
            };
            if !goes_on {
                settle(&self.pending, &mut text);
                self.pending.clear();
            }
            self.pending.push(byte);
            if !self.depends() {
                self.decide(&mut text);
            }
        }
        text
    }

    /// Whether it depends on what follows what becomes of the bytes that are pending.
    fn depends(&self) -> bool {
        matches!(
            self.pending.as_slice(),
            [b'\r' | C1 | GENERAL_PUNCTUATION] | [GENERAL_PUNCTUATION, 0x80 | 0x81]
        )
    }

    /// What is pending is a line end, a byte that begins nothing of ours, or a whole character.
    fn decide(&mut self, text: &mut Vec<u8>) {
        match self.pending.as_slice() {
            [ESCAPE] if self.colours => text.push(ESCAPE),
            kept @ ([b'\n' | b'\t'] | [b'\r', b'\n']) => text.extend_from_slice(kept),
            other => settle(other, text),
        }
        self.pending.clear();
    }
}

/// Nothing follows that would have made something else of it.
fn settle(bytes: &[u8], text: &mut Vec<u8>) {
    let mut chars = str::from_utf8(bytes).unwrap_or_default().chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if is_obeyed(c) => text.extend_from_slice(direction::shown(c).as_bytes()),
        _ => text.extend_from_slice(bytes),
    }
}

impl<W: Write> Write for PrintableWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = self.escaped(bytes);
        self.inner.write_all(&text)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // The rest of a character may still come; a line end may not.
        if self.pending == b"\r" {
            let mut text = Vec::new();
            self.decide(&mut text);
            self.inner.write_all(&text)?;
        }
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(printable("{\"a\":\t\"ä\"}"), "{\"a\":\t\"ä\"}");
        assert_eq!(printable("\u{1b}[2J\r"), "\\u001b[2J\\u000d");
        assert_eq!(printable_lines("a\u{7f}\nb\u{9b}"), "a\\u007f\nb\\u009b");
        assert_eq!(
            printable("gpj.\u{202e}exe\u{2066}\u{2029}"),
            "gpj.\\u202eexe\\u2066\\u2029"
        );
        let hebrew = "\u{200f}שלום\u{200e}";
        assert_eq!(printable(hebrew), hebrew);
    }

    /// What comes out of text that is written in pieces of `size` bytes.
    fn written(text: &str, size: usize) -> String {
        let mut out = PrintableWriter::new(Vec::new());
        for piece in text.as_bytes().chunks(size) {
            out.write_all(piece).unwrap();
        }
        out.flush().unwrap();
        String::from_utf8(out.inner).unwrap()
    }

    #[test]
    fn written_in_any_pieces_text_is_as_it_was_but_for_what_a_terminal_would_obey() {
        for size in 1..5 {
            for text in [
                "a\tä£©ÿ\u{a0}🦀 \r\nb\n",
                "",
                "\n\n",
                "€“\u{200f}\u{2030}\u{2065}\u{206a}\n",
            ] {
                assert_eq!(written(text, size), text, "{size}");
            }
            let (hostile, shown) = (
                "\u{1b}[31m£\u{9b}2J\u{7f}\0over\rwritten\u{80}\r\r\n",
                "\\u001b[31m£\\u009b2J\\u007f\\u0000over\\u000dwritten\\u0080\\u000d\r\n",
            );
            assert_eq!(written(hostile, size), shown, "{size}");
            assert_eq!(written("end\r", size), "end\\u000d");
            assert_eq!(
                written("\u{2028}€\u{202e}\u{2066}“\u{2069}\r", size),
                "\\u2028€\\u202e\\u2066“\\u2069\\u000d"
            );
        }
    }

    #[test]
    fn colours_alone_are_let_through_where_others_have_none() {
        let mut out = PrintableWriter::coloured(Vec::new());
        out.write_all("\u{1b}[2m\u{202e}\u{9b}\u{7}\u{1b}[0m\n".as_bytes())
            .unwrap();
        let text = String::from_utf8(out.inner).unwrap();
        assert_eq!(text, "\u{1b}[2m\\u202e\\u009b\\u0007\u{1b}[0m\n");
    }

    #[test]
    fn bytes_that_are_no_text_are_passed_on_as_they_are() {
        let mut out = PrintableWriter::new(Vec::new());
        let bytes = b"\xe2\x80a\xe2\xe2\x80\x80\xc2a\xc2\xc2\xa3\xff\x9b";
        out.write_all(bytes).unwrap();
        assert_eq!(out.inner, bytes);
    }

    #[test]
    fn json_is_the_same_json() {
        let text = "\u{1b}\u{7f}\u{9b}\u{202e}\u{2069}\u{2028}\r\n";
        let json = serde_json::to_string(text).unwrap();
        let back: String = serde_json::from_str(&written(&json, 3)).unwrap();
        assert_eq!(back, text);
    }
}
