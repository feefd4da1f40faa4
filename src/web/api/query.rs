//! What stands in a path or behind the question mark, read strictly.

use axum::extract::{self, FromRequestParts};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{Number, PartialSchema, ToSchema};

use super::body::said_of;
use crate::web::problem::{PartProblem, Problem};

/// The parameters behind the question mark.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = extract::Query::<T>::from_request_parts(parts, state).await;
        read.map(|extract::Query(value)| Self(value))
            .map_err(|error| {
                let cause = std::error::Error::source(&error);
                let why = cause.map_or_else(|| error.to_string(), ToString::to_string);
                unreadable(&why)
            })
    }
}

/// What is wrong with a parameter; `why` begins with its name where it is about one.
fn unreadable(why: &str) -> Problem {
    match why.split_once(": ") {
        Some((name, why)) if !name.contains(' ') => {
            let detail = said_of(name, why);
            let problem =
                Problem::bad_request(format!("the query cannot be read: {name}: {detail}"));
            let part = name.to_owned();
            problem.with_errors(vec![PartProblem { part, detail }])
        }
        _ => Problem::bad_request(format!("the query cannot be read: {why}")),
    }
}

/// The parameters in the path.
pub(super) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = extract::Path::<T>::from_request_parts(parts, state).await;
        read.map(|extract::Path(value)| Self(value))
            .map_err(|error| Problem::bad_request(format!("the path cannot be read: {error}")))
    }
}

/// How many items a part of a list has at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartSize(pub usize);

impl PartSize {
    /// The most that may be asked for.
    pub const MOST: usize = 500;
}

impl Default for PartSize {
    fn default() -> Self {
        Self(50)
    }
}

impl PartialSchema for PartSize {
    fn schema() -> RefOr<Schema> {
        let default = Self::default().0.into();
        whole_number(1, Self::MOST).default(Some(default)).into()
    }
}

impl ToSchema for PartSize {}

/// A whole number between bounds, as the document describes it.
pub(super) fn whole_number(least: usize, most: usize) -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::Int32);
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(format))
        .minimum(Some(Number::from(least)))
        .maximum(Some(Number::from(most)))
}

impl<'de> Deserialize<'de> for PartSize {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = usize::deserialize(deserializer)?;
        if (1..=Self::MOST).contains(&limit) {
            Ok(Self(limit))
        } else {
            Err(D::Error::custom(format!("limit is 1 to {}", Self::MOST)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_has_bounds() {
        let read = |text: &str| serde_json::from_str::<PartSize>(text).ok();
        assert_eq!(read("500"), Some(PartSize(500)));
        assert_eq!((read("0"), read("501"), read("-1")), (None, None, None));
    }
}
