//! Text of somebody else's as a terminal may have it. It may hold sequences that a terminal would
//! obey: these are shown, as JSON would write them, so that JSON stays what it is.

use std::io::{self, Write};

/// The first byte of the control characters from U+0080 on.
const C1: u8 = 0xc2;

/// A line with its control characters escaped, tabs excepted.
pub fn printable(line: &str) -> String {
    let escape = |c: char| match c {
        '\t' => vec![c],
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)).chars().collect(),
        c => vec![c],
    };
    line.chars().flat_map(escape).collect()
}

/// The same of each line.
pub fn printable_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

/// Passes on what is written, with its control characters escaped. Line ends and tabs stay.
#[derive(Debug)]
pub struct PrintableWriter<W> {
    inner: W,
    /// The last byte, if it depends on the next what becomes of it.
    pending: Option<u8>,
}

impl<W: Write> PrintableWriter<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            pending: None,
        }
    }

    fn escaped(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len());
        for byte in bytes.iter().copied() {
            match (self.pending.take(), byte) {
                (Some(b'\r'), b'\n') => text.push(b'\r'),
                (Some(C1), 0x80..=0x9f) => {
                    escape(byte, &mut text);
                    continue;
                }
                (Some(before), _) => settle(before, &mut text),
                (None, _) => {}
            }
            match byte {
                b'\r' | C1 => self.pending = Some(byte),
                b'\n' | b'\t' => text.push(byte),
                byte if byte.is_ascii_control() => escape(byte, &mut text),
                byte => text.push(byte),
            }
        }
        text
    }
}

/// Nothing follows that would have made something of it.
fn settle(byte: u8, text: &mut Vec<u8>) {
    match byte {
        b'\r' => escape(byte, text),
        byte => text.push(byte),
    }
}

fn escape(byte: u8, text: &mut Vec<u8>) {
    text.extend_from_slice(format!("\\u00{byte:02x}").as_bytes());
}

impl<W: Write> Write for PrintableWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = self.escaped(bytes);
        self.inner.write_all(&text)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // The rest of a character may still come; a line end may not.
        if self.pending.take_if(|byte| *byte == b'\r').is_some() {
            let mut text = Vec::new();
            settle(b'\r', &mut text);
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
            for text in ["a\tä£©ÿ\u{a0}🦀 \r\nb\n", "", "\n\n"] {
                assert_eq!(written(text, size), text, "{size}");
            }
            let (hostile, shown) = (
                "\u{1b}[31m£\u{9b}2J\u{7f}\0over\rwritten\u{80}\r\r\n",
                "\\u001b[31m£\\u009b2J\\u007f\\u0000over\\u000dwritten\\u0080\\u000d\r\n",
            );
            assert_eq!(written(hostile, size), shown, "{size}");
            assert_eq!(written("end\r", size), "end\\u000d");
        }
    }

    #[test]
    fn json_is_the_same_json() {
        let text = "\u{1b}\u{7f}\u{9b}\r\n";
        let json = serde_json::to_string(text).unwrap();
        let back: String = serde_json::from_str(&written(&json, 3)).unwrap();
        assert_eq!(back, text);
    }
}
