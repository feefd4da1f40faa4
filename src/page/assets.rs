//! Style and script, in the binary: no build step, and nothing from elsewhere.

use axum::http::header;
use axum::response::IntoResponse;

/// Where the style is.
pub const STYLE: &str = "/assets/style.css";

/// Where the script is.
pub const SCRIPT: &str = "/assets/script.js";

/// A change comes with a new version of the program: asked again every few minutes.
const CACHE: &str = "public, max-age=300";

pub async fn style() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, CACHE),
    ];
    (headers, include_str!("style.css"))
}

pub async fn script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, CACHE),
    ];
    (headers, include_str!("script.js"))
}
