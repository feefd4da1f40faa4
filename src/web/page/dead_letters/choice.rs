//! Which dead letters are wanted, as an address and a form say it.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde::Deserialize;

use crate::store::dead_letters::{Filter, Position};
use crate::web::page::error::PageError;
use crate::web::page::moment::moment;
use crate::web::page::visitor::Visitor;

/// Which letters are wanted. An empty choice is none.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct LetterChoice {
    #[serde(default)]
    pub(super) reason: String,
    #[serde(default)]
    pub(super) event_type: String,
    #[serde(default)]
    pub(super) webhook: String,
    #[serde(default)]
    pub(super) since: String,
    #[serde(default)]
    pub(super) until: String,
    /// Behind which letter to go on; empty: from the oldest.
    #[serde(default)]
    pub(super) cursor: String,
}

impl LetterChoice {
    /// The letters that are meant.
    pub(super) fn filter(&self, visitor: &Visitor) -> Result<Filter, PageError> {
        let chosen = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let reason = self.reason.parse().ok();
        // A reason that does not exist is that of none: of all would be a purge of all.
        let none = reason.is_none() && !self.reason.is_empty();
        Ok(Filter {
            reason,
            webhook: chosen(&self.webhook),
            event_type: chosen(&self.event_type),
            organization: Some(visitor.organization.to_string()),
            since: moment(&self.since)?,
            until: moment(&self.until)?,
            seen: None,
            ids: none.then(BTreeSet::new),
        })
    }

    /// Where to go on.
    pub(super) fn after(&self) -> Result<Option<Position>, PageError> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let wrong = |_| {
            let detail = "There is no such place among the dead letters: begin with the oldest.";
            PageError::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        };
        self.cursor.parse().map(Some).map_err(wrong)
    }

    /// Whether any letter is meant.
    pub(super) fn is_any(&self) -> bool {
        let texts = [
            &self.reason,
            &self.event_type,
            &self.webhook,
            &self.since,
            &self.until,
        ];
        texts.into_iter().all(String::is_empty)
    }

    /// The query of the same choice, behind this place; from the oldest, if there is none.
    pub(super) fn query(&self, after: Option<&Position>) -> String {
        let cursor = after.map(Position::to_string).unwrap_or_default();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("webhook", &self.webhook),
            ("reason", &self.reason),
            ("event_type", &self.event_type),
            ("since", &self.since),
            ("until", &self.until),
            ("cursor", &cursor),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}
