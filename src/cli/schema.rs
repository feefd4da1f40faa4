//! The commands `schema` and `openapi`: print the documents that others may build on.

use std::io::Write;

use clap::{Args, ValueEnum};

use crate::domain::webhook::WebhookDocument;

use super::failure::Failure;

/// Print the JSON Schema of a document that others may write or read
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Which document
    document: Document,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Document {
    /// A webhook as it is stored in Redis, for a control plane that writes it
    Webhook,
}

/// Runs `schema …`.
pub fn run(args: &SchemaArgs, out: &mut impl Write) -> Result<(), Failure> {
    let schema = match args.document {
        Document::Webhook => schemars::schema_for!(WebhookDocument),
    };
    let text = serde_json::to_string_pretty(&schema).map_err(std::io::Error::from)?;
    Ok(writeln!(out, "{text}")?)
}

/// Print the OpenAPI 3.1 document of the API, which is served at /openapi.json too
#[derive(Debug, Args)]
pub struct OpenapiArgs {}

/// Runs `openapi`.
pub fn openapi(_: &OpenapiArgs, out: &mut impl Write) -> Result<(), Failure> {
    let document = crate::web::api::document();
    let text = document.to_pretty_json().map_err(std::io::Error::from)?;
    Ok(writeln!(out, "{text}")?)
}
