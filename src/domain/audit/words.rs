//! An entry as people read it.

use super::{AuditEntry, AuditedJob};

impl AuditEntry {
    /// What it was done to: the webhook's name, or its id if it had none; nothing for dead letters.
    pub fn subject(&self) -> String {
        let id = self.webhook_id.as_ref().map(ToString::to_string);
        self.webhook_name.clone().or(id).unwrap_or_default()
    }

    /// What else there is to say, in one line.
    pub fn details(&self) -> String {
        let mut parts = Vec::new();
        if !self.fields.is_empty() {
            parts.push(self.fields.join(", "));
        }
        parts.extend(self.url.clone());
        parts.extend(self.reason.clone());
        parts.extend(self.delivery_id.as_ref().map(|id| format!("delivery {id}")));
        if let Some(job) = &self.job {
            parts.push(job.meant());
            if job.state != "running" {
                parts.push(job.outcome());
            }
        }
        parts.join("; ")
    }
}

impl AuditedJob {
    /// Which dead letters were meant.
    fn meant(&self) -> String {
        let mut parts = Vec::new();
        let mut only = |what: &str, value: Option<String>| {
            parts.extend(value.map(|value| format!("{what} {value}")));
        };
        only("webhook", self.webhook_id.clone());
        only("event type", self.event_type.clone());
        only("reason", self.reason.map(|reason| reason.to_string()));
        only("since", self.since.map(|since| since.to_string()));
        only("until", self.until.map(|until| until.to_string()));
        only(
            "chosen one by one:",
            self.chosen.map(|many| many.to_string()),
        );
        only("at most", self.limit.map(|limit| limit.to_string()));
        match parts.is_empty() {
            true => "all".to_owned(),
            false => parts.join(", "),
        }
    }

    /// What became of it.
    fn outcome(&self) -> String {
        let done = self.done;
        let end = match (&*self.state, &self.error) {
            ("done", _) => format!("{done} done"),
            (state, Some(error)) => format!("{done} done, {state}: {error}"),
            (state, None) => format!("{done} done, {state}"),
        };
        match self.unusable {
            0 => end,
            many => format!("{end}; {many} are no deliveries"),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::{Action, Actor, Through};
    use super::*;

    #[test]
    fn an_entry_reads_as_a_line() {
        let entry = |change: &dyn Fn(&mut AuditEntry)| {
            let actor = Actor::local(Through::Cli);
            let mut entry = AuditEntry::new(None, &actor, Action::Purged, Timestamp::UNIX_EPOCH);
            change(&mut entry);
            entry.details()
        };
        assert_eq!(entry(&|_| {}), "");
        let changed = entry(&|entry| {
            entry.fields = vec!["name".to_owned(), "url".to_owned()];
            entry.url = Some("https://example.com/?***".to_owned());
        });
        assert_eq!(changed, "name, url; https://example.com/?***");
        let job = |state: &str, error: Option<&str>| AuditedJob {
            state: state.to_owned(),
            error: error.map(str::to_owned),
            webhook_id: Some("w".to_owned()),
            limit: Some(9),
            done: 3,
            ..AuditedJob::default()
        };
        let of = |job: AuditedJob| entry(&|entry| entry.job = Some(job.clone()));
        assert_eq!(of(job("running", None)), "webhook w, at most 9");
        assert_eq!(of(job("done", None)), "webhook w, at most 9; 3 done");
        assert_eq!(
            of(job("failed", Some("why"))),
            "webhook w, at most 9; 3 done, failed: why"
        );
    }
}
