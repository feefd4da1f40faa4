//! What somebody may have meant who wrote a name that is none.

/// Where a slip of the finger ends and another word begins; found by trying.
const ALIKE: f64 = 0.85;

/// Of candidates (text to compare, what to suggest) the one most like `unknown`, if it is alike.
pub fn nearest<T>(
    unknown: &str,
    candidates: impl IntoIterator<Item = (impl AsRef<str>, T)>,
) -> Option<T> {
    let normal = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let unknown = normal(unknown);
    let score = |text: &str| strsim::jaro_winkler(&unknown, &normal(text));
    let scored = candidates
        .into_iter()
        .map(|(text, suggestion)| (score(text.as_ref()), suggestion));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(score, _)| *score >= ALIKE)
        .map(|(_, suggestion)| suggestion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognized_and_another_word_is_not() {
        let known = ["request.completed", "budget.exceeded"].map(|name| (name, name));
        assert_eq!(nearest("request.complete", known), Some(known[0].1));
        assert_eq!(nearest("Budget-exceeded", known), Some(known[1].1));
        assert_eq!(nearest("something", known), None);
        assert_eq!(nearest("x", [("", 0); 0]), None);
    }
}
