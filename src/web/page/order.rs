//! What others wrote keeps the order of what stands beside it.
//!
//! A mark that [turns](direction::turns) the direction of writing about would act beyond the text that it
//! is in, on our own words. It is shown instead, wherever text is shown; what is typed in a form stays as it
//! is, for it is sent back.

use crate::domain::direction;

/// A page, or a part of one, with such marks in its texts shown. `html` is ours: what is in it of others
/// is escaped.
pub fn kept(html: String) -> String {
    if !html.contains(direction::turns) {
        return html;
    }
    let mut kept = String::with_capacity(html.len() + 64);
    let (mut in_tag, mut typed) = (false, false);
    for (at, c) in html.char_indices() {
        if c == '<' {
            in_tag = true;
            typed = html[at..].starts_with("<textarea");
        }
        if direction::turns(c) && !in_tag && !typed {
            kept.push_str(&direction::shown(c));
        } else {
            kept.push(c);
        }
        in_tag &= c != '>';
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_turn_the_order_about_are_shown_in_texts_and_stay_in_forms() {
        let html = "<title>a\u{202e}b</title><p title=\"\u{2066}\">\u{2067}c<input value=\"\u{202d}\">\
                    <textarea>\u{202c}</textarea>\u{2028}\u{200f}</p>";
        let shown = "<title>a\\u202eb</title><p title=\"\u{2066}\">\\u2067c<input value=\"\u{202d}\">\
                     <textarea>\u{202c}</textarea>\\u2028\u{200f}</p>";
        assert_eq!(kept(html.to_owned()), shown);
        assert_eq!(kept("<p>a</p>".to_owned()), "<p>a</p>");
    }
}
