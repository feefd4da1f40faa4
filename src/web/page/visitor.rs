//! Whoever looks at a page.

use crate::domain::audit::Actor;
use crate::domain::ids::Organization;
use crate::web::streams::Holder;

/// Whoever looks at a page.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The organization that they look at.
    pub organization: Organization,
    /// Whether they may look at no other.
    pub bound: bool,
    /// Whose live streams theirs count among.
    pub holder: Holder,
    /// Who they are, as the audit log calls them.
    pub actor: Actor,
    /// The value of their session, if they signed in and so can sign out.
    pub session: Option<String>,
}
