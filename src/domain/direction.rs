//! Marks in text that turn the direction of writing about: with one of them in a name, what stands
//! behind it reads backwards.

/// Whether `c` is a break of lines or paragraphs, or begins or ends another direction of writing (UAX #9,
/// 2: embeddings, overrides, isolates). The marks without a scope are ordinary in languages that are
/// written from the right.
pub fn turns(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How such a mark is shown instead: as JSON would write it.
pub fn shown(c: char) -> String {
    format!("\\u{:04x}", u32::from(c))
}
