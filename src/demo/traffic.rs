//! What the gateway publishes in the demonstration, and when.

use std::time::Duration;

use serde_json::{Value, json};

/// An event of the demonstration.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When, from the beginning.
    pub at: Duration,
    /// Its type.
    pub event_type: &'static str,
    /// Its body.
    pub body: Value,
}

/// The story's events: all five types, over a third of a minute.
pub fn story() -> Vec<Sample> {
    let at = |millis, body: Value| Sample {
        at: Duration::from_millis(millis),
        event_type: body_type(&body),
        body,
    };
    vec![
        at(500, request(1)),
        at(1500, guardrail(2)),
        at(2500, error(3)),
        at(4500, request(4)),
        at(6500, budget(5)),
        at(8500, request(6)),
        at(11_000, batch(7)),
        at(13_500, request(8)),
        at(16_000, request(9)),
        at(18_500, request(10)),
    ]
}

/// Event number `number` of the traffic that goes on after the story.
pub fn trickle(number: u64) -> Value {
    match number % 5 {
        0 => guardrail(number),
        1 => batch(number),
        _ => request(number),
    }
}

fn body_type(body: &Value) -> &'static str {
    let named = |name: &&str| body["event"] == **name;
    let known = crate::domain::ids::GATEWAY_EVENT_TYPES;
    known.into_iter().find(named).unwrap_or("request.completed")
}

fn request(number: u64) -> Value {
    let (input, output) = (320 + 37 * (number % 11), 80 + 13 * (number % 17));
    json!({
        "event": "request.completed",
        "request_id": format!("req_{number:06}"),
        "model": "gpt-4o-mini",
        "resolved_model": "gpt-4o-mini-2024-07-18",
        "provider": "openai",
        "latency_ms": 410 + 29 * (number % 13),
        "input_tokens": input,
        "output_tokens": output,
        "total_tokens": input + output,
        "status_code": 200,
        "is_error": false,
        "error_message": null,
        "cache_hit": number.is_multiple_of(4),
        "guardrail_triggered": false,
        "cost": 0.000_15,
    })
}

fn error(number: u64) -> Value {
    json!({
        "event": "error.occurred",
        "request_id": format!("req_{number:06}"),
        "model": "claude-sonnet",
        "resolved_model": "claude-sonnet-4",
        "provider": "anthropic",
        "latency_ms": 30_004,
        "input_tokens": 1180,
        "output_tokens": 0,
        "total_tokens": 1180,
        "status_code": 504,
        "is_error": true,
        "error_message": "the provider did not answer within 30 s",
        "cache_hit": false,
        "guardrail_triggered": false,
        "cost": 0.0,
    })
}

fn guardrail(number: u64) -> Value {
    json!({
        "event": "guardrail.triggered",
        "request_id": format!("req_{number:06}"),
        "model": "gpt-4o-mini",
        "guardrail": "pii",
        "action": "redacted",
        "guardrail_triggered": true,
    })
}

fn budget(number: u64) -> Value {
    json!({
        "event": "budget.exceeded",
        "budget": "team-search, November",
        "limit": 500.0,
        "spent": 500.37,
        "sequence": number,
    })
}

fn batch(number: u64) -> Value {
    json!({
        "event": "batch.completed",
        "batch_id": format!("batch_{number:04}"),
        "requests": 250,
        "failed": 3,
        "cost": 1.92,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::ids::GATEWAY_EVENT_TYPES;

    #[test]
    fn the_story_has_every_event_type_and_goes_forward() {
        let story = story();
        let types: BTreeSet<&str> = story.iter().map(|sample| sample.event_type).collect();
        assert_eq!(types, BTreeSet::from(GATEWAY_EVENT_TYPES));
        assert!(story.is_sorted_by_key(|sample| sample.at));
        assert!(
            story
                .iter()
                .all(|sample| sample.body["event"] == sample.event_type)
        );
    }

    #[test]
    fn tokens_add_up() {
        for number in 0..100 {
            let body = request(number);
            let sum =
                body["input_tokens"].as_u64().unwrap() + body["output_tokens"].as_u64().unwrap();
            assert_eq!(body["total_tokens"], sum);
        }
    }
}
