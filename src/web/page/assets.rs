//! Style, script and icon, in the binary: no build step, and nothing from elsewhere.

use axum::http::header;
use axum::response::IntoResponse;

/// Where the style is.
pub const STYLE: &str = concat!("/assets/style.css?v=", env!("CARGO_PKG_VERSION"));

/// Where the script is.
pub const SCRIPT: &str = concat!("/assets/script.js?v=", env!("CARGO_PKG_VERSION"));

/// Where the icon is.
pub const ICON: &str = "/assets/icon.svg";

/// A change comes with a new version of the program: asked again every few minutes.
const CACHE: &str = "public, max-age=300";

pub async fn style() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("style.css"))
}

pub async fn script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("script.js"))
}

pub async fn icon() -> impl IntoResponse {
    file("image/svg+xml", include_str!("icon.svg"))
}

fn file(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, CACHE),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text)
}
