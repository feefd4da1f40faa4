//! The decisions of webhook delivery, and nothing else.
//!
//! Everything here is a value or a pure function: no I/O, no clock, no random source. Time and
//! randomness come in as arguments, decisions go out as enums, and adapters carry them out. So
//! every rule of delivery can be read, and tested, without a server.
//!
//! | file | decides |
//! |---|---|
//! | [`ids`] | what the identifiers are and which texts may be one |
//! | [`event`] | whether a message is an event |
//! | [`matching`] | which webhooks want an event |
//! | [`webhook`] | what a webhook is, and which documents describe one |
//! | [`organization`] | which webhooks an organization has |
//! | [`endpoint`] | which URLs can be posted to |
//! | [`custom_headers`] | which request headers a webhook may add |
//! | [`explanation`] | whether a webhook would get events of a type, and if not, why |
//! | [`secret`], [`signature`] | how a request is signed |
//! | [`stored_secret`], [`rotation`] | which secrets a webhook has and which signs what; how one takes over from another |
//! | [`request`] | which headers a request carries |
//! | [`trace_context`] | how a trace is carried on |
//! | [`egress`] | which addresses may be posted to |
//! | [`outcome`] | what an attempt came to |
//! | [`own_fault`] | what is a fault of ours, and how long it lasts |
//! | [`rate_limit`] | how often a webhook may be sent a request |
//! | [`returns`], [`slots`] | when each of many comes back that are put off |
//! | [`retry_after`] | what a `Retry-After` header asks for |
//! | [`retry`] | when the next attempt is due |
//! | [`delay`] | which delay queues hold a delivery until then |
//! | [`streak`] | whether a webhook has had nothing but failures for long |
//! | [`verdict`] | what happens to the delivery next |
//! | [`admission`] | whether an attempt may be made now |
//! | [`held_back`] | whose deliveries are held back, as people are told |
//! | [`identity`] | which message is a redelivery of which |
//! | [`delivery`], [`delivery_state`] | one event on its way to one webhook, and where it stands |
//! | [`attempt`] | what is put on record |
//! | [`repeated`] | what of a webhook's secrets an answer repeats, which is not |
//! | [`audit`] | what is put on record of a change, and what changed |
//! | [`dead_letter`] | why a delivery was given up |
//! | [`direction`] | marks that turn the direction of writing about |
//! | [`spelling`] | what somebody may have meant who wrote a name that is none |

pub mod admission;
pub mod attempt;
pub mod audit;
pub mod custom_headers;
pub mod dead_letter;
pub mod delay;
pub mod delivery;
pub mod delivery_state;
pub mod direction;
pub mod egress;
pub mod endpoint;
pub mod event;
pub mod explanation;
pub mod held_back;
pub mod identity;
pub mod ids;
pub mod matching;
pub mod organization;
pub mod outcome;
pub mod own_fault;
pub mod rate_limit;
pub mod repeated;
pub mod request;
pub mod retry;
pub mod retry_after;
pub mod returns;
pub mod rotation;
pub mod secret;
pub mod signature;
pub mod slots;
pub mod spelling;
pub mod stored_secret;
pub mod streak;
pub mod trace_context;
pub mod verdict;
pub mod webhook;
