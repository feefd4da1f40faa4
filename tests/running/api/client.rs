//! Asking the API: a method, a path, a body, headers.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::running::site::Running;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The same, if it has this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        if !self.status.is_success() {
            let media_type = self.header("content-type");
            assert_eq!(media_type, "application/problem+json", "{}", self.body);
            assert_eq!(self.body["status"], status);
            assert!(self.body["detail"].is_string(), "{}", self.body);
        }
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The items of a list.
    #[track_caller]
    pub fn items(&self) -> &[Value] {
        self.body["items"].as_array().expect("a list")
    }

    /// The fields that a refusal is about.
    pub fn parts(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().into_iter().flatten();
        errors.filter_map(|error| error["part"].as_str()).collect()
    }
}

impl Running {
    /// Asks for something under `/api/v1`.
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask_as(method, path, body, &[]).await
    }

    /// The same, with headers.
    pub async fn ask_as(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self
            .client
            .request(method, self.at(&format!("/api/v1{path}")));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json");
            request = request.body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer {
            status,
            headers,
            body,
        }
    }

    /// Gets something under `/api/v1`.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None).await
    }
}
