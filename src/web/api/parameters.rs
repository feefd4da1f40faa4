//! What may stand behind the question mark, as the document says of each operation: what it does not
//! name is refused, for whoever wrote it meant something by it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use crate::domain::spelling::nearest;
use crate::web::problem::{PartProblem, Problem};

/// The names of the parameters that each operation takes in its query.
pub(super) type QueryNames = HashMap<(String, Method), Vec<String>>;

/// Reads the names in the document.
pub(super) fn names(document: &OpenApi) -> Arc<QueryNames> {
    let mut names = QueryNames::new();
    for (path, item) in &document.paths.paths {
        let operations = [
            (Method::GET, &item.get),
            (Method::POST, &item.post),
            (Method::PUT, &item.put),
            (Method::PATCH, &item.patch),
            (Method::DELETE, &item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                names.insert((path.clone(), method), in_query(operation));
            }
        }
    }
    Arc::new(names)
}

fn in_query(operation: &Operation) -> Vec<String> {
    let all = operation.parameters.iter().flatten();
    let parameters = all.filter_map(|one| match one {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    parameters
        .filter(|one| one.parameter_in == ParameterIn::Query)
        .map(|one| one.name.clone())
        .collect()
}

/// Refuses a request with a parameter in its query that the operation does not take.
pub(super) async fn check(
    State(names): State<Arc<QueryNames>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let method = match request.method() {
        &Method::HEAD => Method::GET,
        method => method.clone(),
    };
    let operation = path.map(|path| (path.as_str().to_owned(), method));
    let known = operation.and_then(|operation| names.get(&operation));
    if let (Some(known), Some(query)) = (known, request.uri().query()) {
        refuse_unknown(query, known)?;
    }
    Ok(next.run(request).await)
}

/// After so many unknown names no more are looked at.
const MOST_UNKNOWN: usize = 20;

fn refuse_unknown(query: &str, known: &[String]) -> Result<(), Problem> {
    let given = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    let unknown = given.filter(|name| !known.iter().any(|one| one == name));
    let errors: Vec<_> = unknown
        .take(MOST_UNKNOWN)
        .map(|name| PartProblem {
            detail: is_unknown(&name, known),
            part: name.into_owned(),
        })
        .collect();
    match errors.first() {
        None => Ok(()),
        Some(first) => Err(Problem::bad_request(first.detail.clone()).with_errors(errors)),
    }
}

fn is_unknown(name: &str, known: &[String]) -> String {
    let listed = match known {
        [] => "none".to_owned(),
        known => known.join(", "),
    };
    let meant = nearest(name, known.iter().map(|one| (one, one)));
    let meant = meant.map_or_else(String::new, |meant| format!("did you mean {meant}? "));
    format!("there is no parameter {name:?} here; {meant}there are: {listed}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::api::document;

    #[test]
    fn every_operation_has_its_names() {
        let names = names(&document());
        let of = |path: &str| &names[&(format!("/api/v1{path}"), Method::GET)];
        assert!(of("/attempts").contains(&"webhook_id".to_owned()));
        assert!(of("/attempts").contains(&"cursor".to_owned()));
        assert!(of("/webhooks/{id}").is_empty());
    }

    #[test]
    fn what_is_not_known_is_refused_by_name_and_with_what_was_meant() {
        let known = ["webhook_id".to_owned(), "limit".to_owned()];
        let check = |query: &str| refuse_unknown(query, &known);
        assert_eq!(check("webhook_id=a&limit=1"), Ok(()));
        assert_eq!(check(""), Ok(()));
        let problem = check("limit=1&webhook_ids=a&x%20y").unwrap_err();
        let said = serde_json::to_value(&problem).unwrap();
        let parts = said["errors"].as_array().unwrap().iter();
        let parts: Vec<_> = parts.map(|one| one["part"].as_str().unwrap()).collect();
        assert_eq!(parts, ["webhook_ids", "x y"]);
        assert_eq!(
            said["detail"],
            "there is no parameter \"webhook_ids\" here; did you mean webhook_id? \
             there are: webhook_id, limit"
        );
        let many = "a&".repeat(10_000);
        let many = serde_json::to_value(check(&many).unwrap_err()).unwrap();
        assert_eq!(many["errors"].as_array().unwrap().len(), MOST_UNKNOWN);
        let none = refuse_unknown("dry_run=true", &[]).unwrap_err();
        assert!(format!("{none:?}").contains("there are: none"), "{none:?}");
    }
}
