//! What every handler works with, of the API and of the page.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::ApiToken;
use crate::domain::egress::Egress;
use crate::domain::event::EventRules;
use crate::engine::faults::Faults;
use crate::operations::deployment::Deployment;
use crate::operations::jobs::Jobs;
use crate::operations::test::Tester;
use crate::web::proxies::Proxies;
use crate::web::sessions::SessionKeeper;
use crate::web::streams::Streams;
use crate::web::wrong_tokens::WrongTokens;

/// Everything that the handlers work with.
#[derive(Clone)]
pub struct AppState {
    /// The deployment that is asked and told.
    pub deployment: Deployment,
    /// What counts as an event.
    pub rules: Arc<EventRules>,
    /// Which addresses may be posted to.
    pub egress: Arc<Egress>,
    /// Sends test events.
    pub tester: Tester,
    /// Whether requests can be made.
    pub faults: Arc<Faults>,
    /// Jobs through the dead letters that are under way here.
    pub jobs: Jobs,
    /// Who may ask; nobody in particular if there are none.
    pub tokens: Arc<[ApiToken]>,
    /// Who is signed in to the page.
    pub sessions: SessionKeeper,
    /// Wrong tokens that came of late.
    pub wrong_tokens: Arc<WrongTokens>,
    /// The live streams that are open.
    pub streams: Streams,
    /// Who stands before the port.
    pub proxies: Arc<Proxies>,
    /// Cancelled once everything behind the API has been set up.
    pub started: CancellationToken,
    /// Cancelled when the service is to stop: live streams end then.
    pub stop: CancellationToken,
}
