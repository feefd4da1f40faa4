//! Accessibility, as axe-core finds it: what is serious or critical fails a test.

use serde::Deserialize;
use serde_json::json;

use super::chrome::Browser;

/// Where `tests/browser/install` puts it.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/axe/axe.min.js");

/// The rules: WCAG up to 2.2, levels A and AA, and what is good practice beyond.
const TAGS: [&str; 5] = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"];

/// What breaks a rule.
#[derive(Deserialize)]
struct Violation {
    id: String,
    impact: Option<String>,
    help: String,
    nodes: Vec<Node>,
}

/// An element that does.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    html: String,
    failure_summary: Option<String>,
}

impl Violation {
    fn fails(&self) -> bool {
        matches!(self.impact.as_deref(), Some("serious" | "critical"))
    }

    fn told(&self) -> String {
        let impact = self.impact.as_deref().unwrap_or("no impact");
        let mut text = format!("{} ({impact}): {}\n", self.id, self.help);
        for node in &self.nodes {
            let why = node.failure_summary.as_deref().unwrap_or_default();
            text += &format!("    {}\n    {}\n", node.html, why.replace('\n', "\n    "));
        }
        text
    }
}

impl Browser {
    /// What of the page as it is now is serious or critical. The rest is printed. `what` says in
    /// messages which page it is.
    pub async fn axe(&self, what: &str) -> Vec<String> {
        let loaded = self.script("return !!window.axe", vec![]).await;
        if loaded != true {
            // As the test's own script, which the page's policy does not hold for.
            self.script(&source(), vec![]).await;
        }
        let options = json!({
            "runOnly": {"type": "tag", "values": TAGS},
            "resultTypes": ["violations"],
        });
        let script = "return axe.run(document, arguments[0]).then((result) => result.violations)";
        let found = self.script(script, vec![options]).await;
        let found: Vec<Violation> = serde_json::from_value(found).expect("axe tells violations");
        let (failing, lesser): (Vec<_>, Vec<_>) = found.iter().partition(|one| one.fails());
        for one in lesser {
            eprintln!("{what}: {}", one.told());
        }
        let told = failing.iter().map(|one| format!("{what}: {}", one.told()));
        told.collect()
    }
}

fn source() -> String {
    std::fs::read_to_string(FILE).unwrap_or_else(|error| {
        panic!("axe-core is not there ({error}): run tests/run, or tests/browser/install once")
    })
}
