//! Who asked for an attempt, and waits for the answer or goes away.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::admission::{Admitted, Shared, WebhookLimiter, now};
use crate::domain::admission::{Answer, Asked, Ticket};

impl WebhookLimiter {
    /// Asks for one attempt. Whoever asks is in hand from here on.
    pub fn ask(&self, asked: Asked<'_>) -> Asking<'_> {
        let mut state = self.shared.lock();
        let ticket = state.admission.ask(asked, now());
        if let Some(answer) = self.shared.hand_out(&mut state, Some(ticket)) {
            drop(state);
            return Asking::Answered(self.shared.admitted(ticket, answer));
        }
        let (give, answer) = oneshot::channel();
        state.waiting.insert(ticket, give);
        drop(state);
        self.shared.waits.notify_one();
        Asking::Pending(Pending {
            shared: &self.shared,
            ticket,
            answer: Some(answer),
        })
    }
}

/// An attempt that was asked for. Dropping it gives it up.
#[derive(Debug)]
pub enum Asking<'a> {
    /// The answer was there at once.
    Answered(Admitted),
    /// The answer is still to come.
    Pending(Pending<'a>),
}

impl Asking<'_> {
    /// Whether the answer is still to come.
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Pending(_))
    }

    /// The answer; waits for it for as long as that is likely to be worth it.
    pub async fn answer(self) -> Admitted {
        match self {
            Self::Answered(admitted) => admitted,
            Self::Pending(mut pending) => {
                let answer = pending.answer().await;
                pending.shared.admitted(pending.ticket, answer)
            }
        }
    }
}

/// Somebody who waits for an answer, and may be gone before it comes.
#[derive(Debug)]
pub struct Pending<'a> {
    shared: &'a Arc<Shared>,
    ticket: Ticket,
    /// None once it was received.
    answer: Option<oneshot::Receiver<Answer>>,
}

impl Pending<'_> {
    async fn answer(&mut self) -> Answer {
        let Some(answer) = &mut self.answer else {
            return std::future::pending().await;
        };
        // The sender is dropped by nobody but by sending.
        let Ok(answer) = answer.await else {
            return std::future::pending().await;
        };
        self.answer = None;
        answer
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let Some(mut answer) = self.answer.take() else {
            return;
        };
        let mut state = self.shared.lock();
        // Answers are given under the lock: only now is it certain that none was given meanwhile.
        let given = answer.try_recv();
        state.waiting.remove(&self.ticket);
        if !matches!(given, Ok(Answer::Later(_))) {
            state.admission.settled(self.ticket, now());
            self.shared.hand_out(&mut state, None);
        }
    }
}
