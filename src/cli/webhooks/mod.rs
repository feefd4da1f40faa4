//! The command `webhooks`: create, list, show, update, delete, enable, disable, rotate-secret,
//! promote-secret, drop-staged-secret, test, export, import.

mod export_import;
mod secrets;
mod testing;
mod view;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use tokio::io::AsyncRead;

use crate::domain::ids::{Organization, WebhookId};
use crate::domain::matching::EventSubscription;
use crate::domain::rate_limit::RateLimit;
use crate::domain::retry::RetryOverrides;
use crate::operations::test::Tester;
use crate::registry::webhooks::{NewWebhook, WebhookPatch, Webhooks, WebhooksError};
use crate::store::delivery_log::DeliveryLog;

use super::console::Console;
use super::failure::{ExitReason, Failure};
use super::secret_text::SecretArgs;
use super::table;

use secrets::{PromoteArgs, RotateArgs};
use view::View;

/// Register webhooks and look after them
#[derive(Debug, Args)]
pub struct WebhooksArgs {
    #[command(subcommand)]
    command: WebhooksCommand,
    /// The organization that the webhook belongs to
    #[arg(long, global = true, default_value = "default", value_name = "O")]
    organization: Organization,
    /// Print JSON: one object, or for a list one array
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum WebhooksCommand {
    /// Register a webhook; prints its id, and a generated secret this once
    Create(CreateArgs),
    /// List the organization's webhooks
    List,
    /// Show one webhook
    Show(Which),
    /// Change what is named and leave the rest
    Update(UpdateArgs),
    /// Remove a webhook and its delivery log; what is on its way becomes dead letters
    Delete(Which),
    /// Let a webhook have deliveries again
    Enable(Which),
    /// Stop deliveries; what is on its way becomes dead letters that can be requeued later
    Disable(DisableArgs),
    /// Print the organization's webhooks for import somewhere else, secrets included: keep it private
    Export,
    /// Register what export printed, read from standard input, under the same ids
    Import,
    /// Send a test event to a webhook's endpoint now, and print what came back
    Test(Which),
    /// Stage a new secret, which signs beside the old one until it is promoted
    RotateSecret(RotateArgs),
    /// Sign first with the secret that is staged; the old one signs beside it for a while, and ends
    PromoteSecret(PromoteArgs),
    /// Drop what is staged: a mistake, or known to the wrong people
    DropStagedSecret(Which),
}

#[derive(Debug, Args)]
struct Which {
    /// The webhook's id or name
    webhook: String,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// What people call it; unique in its organization
    #[arg(long, value_name = "N")]
    name: String,
    /// Where to post to: https, unless the deployment allows http
    #[arg(long, value_name = "U")]
    url: String,
    #[command(flatten)]
    secret: SecretArgs,
    /// Generate a secret and print it
    #[arg(long, conflicts_with_all = ["secret", "secret_file"])]
    generate_secret: bool,
    /// What it is for
    #[arg(long, value_name = "D")]
    description: Option<String>,
    /// An event type to receive: a name, guardrail.* or *; can be repeated. None: all
    #[arg(long = "event", value_name = "TYPE", value_parser = EventSubscription::parse)]
    events: Vec<EventSubscription>,
    /// A request header of its own, as in 'X-Team: blue'; can be repeated
    #[arg(long = "header", value_name = "K: V", value_parser = header)]
    headers: Vec<(String, String)>,
    /// How often it may be sent a request, all workers together, evenly spaced: 10/s, 300/min or 50/h
    #[arg(long, value_name = "N/UNIT")]
    rate_limit: Option<RateLimit>,
    #[command(flatten)]
    retry: RetryArgs,
}

#[derive(Debug, Args)]
struct UpdateArgs {
    #[command(flatten)]
    which: Which,
    /// A new name
    #[arg(long, value_name = "N")]
    name: Option<String>,
    /// A new endpoint
    #[arg(long, value_name = "U")]
    url: Option<String>,
    /// A new description; an empty one removes it
    #[arg(long, value_name = "D")]
    description: Option<String>,
    /// The event types to receive from now on; can be repeated
    #[arg(long = "event", value_name = "TYPE", value_parser = EventSubscription::parse)]
    events: Vec<EventSubscription>,
    /// Receive every event type from now on
    #[arg(long, conflicts_with = "events")]
    all_events: bool,
    /// The request headers of its own from now on; can be repeated
    #[arg(long = "header", value_name = "K: V", value_parser = header)]
    headers: Vec<(String, String)>,
    /// No request headers of its own any more
    #[arg(long, conflicts_with = "headers")]
    no_headers: bool,
    /// How often it may be sent a request from now on: 10/s, 300/min or 50/h
    #[arg(long, value_name = "N/UNIT")]
    rate_limit: Option<RateLimit>,
    /// As often as it answers in time, from now on
    #[arg(long, conflicts_with = "rate_limit")]
    no_rate_limit: bool,
    #[command(flatten)]
    retry: RetryArgs,
    /// The deployment's retry policy again
    #[arg(long)]
    default_retry: bool,
}

/// What the webhook changes of the deployment's retry policy.
#[derive(Debug, Args)]
struct RetryArgs {
    /// The mean delay after the first attempt, as in 10s
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    retry_initial: Option<Duration>,
    /// By how much the delay grows with each attempt: 1 to 10
    #[arg(long, value_name = "X", value_parser = super::arguments::number)]
    retry_factor: Option<f64>,
    /// The longest mean delay between attempts, as in 6h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    retry_max_delay: Option<Duration>,
    /// How many attempts there are in all: 1 to 100
    #[arg(long, value_name = "N", value_parser = super::arguments::whole(1_u32, 100))]
    retry_max_attempts: Option<u32>,
}

#[derive(Debug, Args)]
struct DisableArgs {
    #[command(flatten)]
    which: Which,
    /// Why: shown wherever the webhook is
    #[arg(long, default_value = "disabled by hand")]
    reason: String,
}

/// Runs `webhooks …` against `store` at `now`. `tester` is asked for if a test is to be sent.
pub async fn run(
    args: WebhooksArgs,
    store: &Webhooks,
    log: &dyn DeliveryLog,
    tester: impl FnOnce() -> Result<Tester, Failure>,
    now: Timestamp,
    console: &mut Console,
) -> Result<(), Failure> {
    let organization = &args.organization;
    let view = match args.command {
        WebhooksCommand::Export => {
            return export_import::export(store, organization, console).await;
        }
        WebhooksCommand::Import => {
            return export_import::import(store, organization, console).await;
        }
        WebhooksCommand::Test(which) => {
            let stored = store.get(organization, &which.webhook).await?;
            return testing::test(&tester()?, organization, &stored, args.json, console).await;
        }
        WebhooksCommand::List => {
            let mut views = list(store, organization, now).await?;
            held_back(&mut views, log, organization).await;
            return print_list(&views, args.json, console);
        }
        WebhooksCommand::Create(create) => {
            let input = &mut *console.input;
            self::create(create, store, organization, now, input).await?
        }
        WebhooksCommand::Show(which) => {
            View::of(store.get(organization, &which.webhook).await?, now)
        }
        WebhooksCommand::Update(update) => {
            let reference = update.which.webhook.clone();
            let patch = update.patch()?;
            View::of(
                store.update(organization, &reference, &patch, now).await?,
                now,
            )
        }
        WebhooksCommand::Enable(which) => {
            View::of(store.enable(organization, &which.webhook, now).await?, now)
        }
        WebhooksCommand::Disable(DisableArgs { which, reason }) => View::of(
            store
                .disable(organization, &which.webhook, &reason, now)
                .await?,
            now,
        ),
        WebhooksCommand::RotateSecret(rotate) => {
            let input = &mut *console.input;
            secrets::rotate(&rotate, store, organization, now, input).await?
        }
        WebhooksCommand::PromoteSecret(promote) => {
            secrets::promote(&promote, store, organization, now).await?
        }
        WebhooksCommand::DropStagedSecret(which) => {
            let which = &which.webhook;
            let stored = store.drop_staged_secrets(organization, which, now).await?;
            View::of(stored, now)
        }
        WebhooksCommand::Delete(which) => {
            let id = store.delete(organization, &which.webhook).await?;
            View {
                id: id.to_string(),
                invalid: None,
                webhook: None,
                secret: None,
            }
        }
    };
    let mut view = [view];
    held_back(&mut view, log, organization).await;
    let [view] = view;
    view.print(args.json, &mut console.out)
}

/// Adds what is known of the deliveries; the webhooks are shown whether that can be told or not.
async fn held_back(views: &mut [View], log: &dyn DeliveryLog, organization: &Organization) {
    let ids = views
        .iter()
        .filter_map(|view| WebhookId::new(&view.id).ok());
    let ids: Vec<_> = ids.collect();
    let mut held = log.held_back(organization, &ids).await.unwrap_or_default();
    for view in views {
        let id = WebhookId::new(&view.id).ok();
        view.held_back(id.and_then(|id| held.remove(&id)));
    }
}

async fn create(
    args: CreateArgs,
    store: &Webhooks,
    organization: &Organization,
    now: Timestamp,
    input: &mut (dyn AsyncRead + Send + Unpin),
) -> Result<View, Failure> {
    let generated = args.generate_secret.then(secrets::generate);
    let given = args.secret.secret(input).await?;
    let new = NewWebhook {
        name: args.name,
        url: args.url,
        secret: given.or_else(|| generated.clone()),
        description: args.description,
        events: args.events,
        headers: args.headers.into_iter().collect(),
        retry: args.retry.overrides(),
        rate_limit: args.rate_limit,
    };
    let stored = store.create(organization, new, now).await?;
    Ok(View::of(stored, now).with_secret(generated.as_ref()))
}

async fn list(
    store: &Webhooks,
    organization: &Organization,
    now: Timestamp,
) -> Result<Vec<View>, Failure> {
    let listed = store.list(organization).await?.into_iter();
    Ok(listed.map(|one| View::listed(one, now)).collect())
}

fn print_list(views: &[View], json: bool, console: &mut Console) -> Result<(), Failure> {
    if json {
        return Ok(table::json_array(&mut console.out, views)?);
    }
    let header = ["id", "name", "url", "events", "signed", "state"];
    let empty = "no webhooks yet: webhooks create --name NAME --url URL registers one";
    Ok(table::print(
        &mut console.out,
        console.shows.width,
        &header,
        views.iter().map(View::row),
        empty,
    )?)
}

impl WebhooksArgs {
    /// The file that a secret is to be read from, if it is one.
    pub fn secret_file(&self) -> Option<&Path> {
        match &self.command {
            WebhooksCommand::Create(create) => create.secret.path(),
            WebhooksCommand::RotateSecret(rotate) => rotate.secret.path(),
            _ => None,
        }
    }
}

impl UpdateArgs {
    fn patch(self) -> Result<WebhookPatch, Failure> {
        let retry = match (self.retry.overrides(), self.default_retry) {
            (Some(_), true) => {
                let message = "--default-retry cannot stand beside other --retry flags";
                return Err(Failure::new(ExitReason::Failed, message));
            }
            (Some(retry), false) => Some(Some(retry)),
            (None, true) => Some(None),
            (None, false) => None,
        };
        let headers: BTreeMap<_, _> = self.headers.into_iter().collect();
        Ok(WebhookPatch {
            name: self.name,
            url: self.url,
            description: self
                .description
                .map(|text| Some(text).filter(|text| !text.is_empty())),
            events: (self.all_events || !self.events.is_empty()).then_some(self.events),
            headers: (self.no_headers || !headers.is_empty()).then_some(headers),
            retry,
            rate_limit: match self.no_rate_limit {
                true => Some(None),
                false => self.rate_limit.map(Some),
            },
        })
    }
}

impl RetryArgs {
    fn overrides(&self) -> Option<RetryOverrides> {
        let overrides = RetryOverrides {
            initial_seconds: self.retry_initial.map(|d| d.as_secs_f64()),
            factor: self.retry_factor,
            max_delay_seconds: self.retry_max_delay.map(|d| d.as_secs_f64()),
            max_attempts: self.retry_max_attempts,
        };
        (overrides != RetryOverrides::default()).then_some(overrides)
    }
}

impl From<WebhooksError> for Failure {
    fn from(error: WebhooksError) -> Self {
        let kind = match &error {
            WebhooksError::Store(_) => ExitReason::Unavailable,
            WebhooksError::NotFound { .. }
            | WebhooksError::Ambiguous { .. }
            | WebhooksError::NameTaken { .. }
            | WebhooksError::IdTaken { .. }
            | WebhooksError::Changed { .. }
            | WebhooksError::Rotation(_)
            | WebhooksError::Conflict { .. } => ExitReason::Subject,
            WebhooksError::Invalid(_)
            | WebhooksError::Secret(_)
            | WebhooksError::TooMany { .. }
            | WebhooksError::TooLarge { .. } => ExitReason::Failed,
        };
        Self::caused(kind, &error)
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err("write it as 'Name: value'".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text
        .parse()
        .map_err(|_| "write a duration like 10s, 1m30s or 6h".to_owned())?;
    parsed
        .try_into()
        .map_err(|_| "a duration cannot be negative".to_owned())
}
