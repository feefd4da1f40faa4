//! Elements as their readers know them, by role and accessible name, and using them.
//!
//! Chromium itself computes role and name, as it does for screen readers: what is found here can be
//! found by everybody, wherever on the page it stands.

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::{Locator, error::CmdError};
use serde_json::Value;

use super::chrome::{Browser, Command, SOON};
use crate::support::deadline::eventually_ok;

/// Keys that are no characters, as WebDriver writes them.
#[derive(Debug, Clone, Copy)]
pub enum Key {
    Tab,
    Enter,
    Space,
}

impl Key {
    fn value(self) -> char {
        match self {
            Self::Tab => '\u{E004}',
            Self::Enter => '\u{E007}',
            Self::Space => ' ',
        }
    }
}

/// How often Tab is pressed before what is wanted counts as out of reach.
const TABS: usize = 60;

/// Fields of forms, whatever their role.
const FIELDS: &str = "input, textarea, select, [role=textbox], [role=combobox], [role=switch]";

/// Which elements may have a role: names are asked for one by one.
fn candidates(role: &str) -> &'static str {
    match role {
        "button" => "button, input, summary, [role=button]",
        "link" => "a, [role=link]",
        "textbox" | "searchbox" | "checkbox" | "radio" | "combobox" | "switch" => FIELDS,
        "heading" => "h1, h2, h3, h4, h5, h6, [role=heading]",
        "tab" => "[role=tab]",
        "region" => "section, [role=region]",
        "navigation" => "nav, [role=navigation]",
        "dialog" => "dialog, [role=dialog]",
        "table" => "table, [role=table]",
        "alert" => "[role=alert]",
        "status" => "[role=status], output",
        _ => "*",
    }
}

/// Whether a name is the one that is wanted: the same, or, if that ends in …, one that begins so.
/// A mere … is any name.
fn is(name: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('…') {
        Some(beginning) => name.starts_with(beginning),
        None => name == wanted,
    }
}

impl Browser {
    /// Waits for the one element with this role and this name.
    pub async fn find(&self, role: &str, name: &str) -> Element {
        let what = format!("the {role} {name:?}");
        let css = candidates(role);
        eventually_ok(SOON, &what, async || self.look(css, Some(role), name).await).await
    }

    /// Waits for the one field of a form with this label.
    pub async fn field(&self, label: &str) -> Element {
        let what = format!("the field {label:?}");
        eventually_ok(SOON, &what, async || self.look(FIELDS, None, label).await).await
    }

    async fn look(&self, css: &str, role: Option<&str>, wanted: &str) -> Result<Element, String> {
        let (mut found, mut others) = (Vec::new(), Vec::new());
        let looked = async {
            for element in self.client.find_all(Locator::Css(css)).await? {
                let (its_role, name) = self.role_and_name(&element).await?;
                if role.is_some_and(|role| role != its_role) {
                    continue;
                }
                if is(&name, wanted) {
                    found.push(element);
                } else {
                    others.push(name);
                }
            }
            Ok::<(), CmdError>(())
        };
        // The page may change while it is looked at.
        looked.await.map_err(|error| error.to_string())?;
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(format!("there are others: {others:?}")),
            many => Err(format!("there are {many} of that name")),
        }
    }

    async fn role_and_name(&self, element: &Element) -> Result<(String, String), CmdError> {
        let id = element.element_id();
        let role = Command::get(format!("element/{id}/computedrole"));
        let name = Command::get(format!("element/{id}/computedlabel"));
        let role = self.client.issue_cmd(role).await?;
        let name = self.client.issue_cmd(name).await?;
        let text = |value: Value| value.as_str().unwrap_or_default().trim().to_owned();
        Ok((text(role), text(name)))
    }

    /// Clicks what has this role and this name. It looks again if the page changes under the mouse.
    /// A page that the click leads to may not be there yet: wait for what it alone has.
    pub async fn click(&self, role: &str, name: &str) {
        let what = format!("the {role} {name:?} is clicked");
        let css = candidates(role);
        eventually_ok(SOON, &what, async || {
            let element = self.look(css, Some(role), name).await?;
            element.click().await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// Clicks what has this role and this name in the one row of a table with all of these parts.
    pub async fn click_in_row(&self, parts: &[&str], role: &str, name: &str) {
        let what = format!("the {role} {name:?} in the row with {parts:?}");
        let found = eventually_ok(SOON, &what, async || {
            let row = self.row(parts).await?;
            let inside = row.find_all(Locator::Css(candidates(role))).await;
            for element in inside.map_err(|error| error.to_string())? {
                let known = self.role_and_name(&element).await;
                let (its_role, its_name) = known.map_err(|error| error.to_string())?;
                if its_role == role && is(&its_name, name) {
                    return Ok(element);
                }
            }
            Err("the row has none".to_owned())
        });
        let clicked = found.await.click().await;
        clicked.unwrap_or_else(|error| panic!("{what} cannot be clicked: {error}"));
    }

    async fn row(&self, parts: &[&str]) -> Result<Element, String> {
        let rows = self.client.find_all(Locator::Css("tbody tr")).await;
        let mut found = Vec::new();
        for row in rows.map_err(|error| error.to_string())? {
            let text = row.text().await.map_err(|error| error.to_string())?;
            if parts.iter().all(|part| text.contains(part)) {
                found.push(row);
            }
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            many => Err(format!("there are {many} such rows")),
        }
    }

    /// Replaces what a field holds.
    pub async fn fill(&self, label: &str, text: &str) {
        let field = self.field(label).await;
        field.clear().await.expect("a field that takes text");
        field
            .send_keys(text)
            .await
            .expect("a field that takes text");
    }

    /// Chooses one of the options of a field.
    pub async fn choose(&self, label: &str, option: &str) {
        let field = self.field(label).await;
        let chosen = field.select_by_label(option).await;
        chosen.unwrap_or_else(|error| panic!("{option:?} of {label:?}: {error}"));
    }

    /// What a field holds.
    pub async fn value(&self, label: &str) -> String {
        let field = self.field(label).await;
        field.prop("value").await.unwrap().unwrap_or_default()
    }

    /// What belongs to a field besides its label: hints, and errors, in their order.
    pub async fn description(&self, label: &str) -> String {
        let field = self.field(label).await;
        let script = "return (arguments[0].getAttribute('aria-describedby') ?? '').split(/\\s+/)\
                      .map((id) => document.getElementById(id)?.innerText ?? '').join(' ').trim()";
        let element = serde_json::to_value(&field).unwrap();
        let text = self.script(script, vec![element]).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Presses a key, wherever the focus is.
    pub async fn press(&self, key: Key) {
        self.keys([key.value()]).await;
    }

    /// Types text, wherever the focus is.
    pub async fn type_text(&self, text: &str) {
        self.keys(text.chars()).await;
    }

    async fn keys(&self, keys: impl IntoIterator<Item = char>) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for value in keys {
            actions = actions.then(KeyAction::Down { value });
            actions = actions.then(KeyAction::Up { value });
        }
        let done = self.client.perform_actions(actions).await;
        done.expect("keys can be pressed");
    }

    /// Role and name of what has the focus.
    pub async fn focused(&self) -> (String, String) {
        let element = self.client.active_element().await.unwrap();
        self.role_and_name(&element).await.unwrap()
    }

    /// Presses Tab until what has this name has the focus, as those do who use no mouse.
    pub async fn tab_to(&self, name: &str) {
        let mut passed = Vec::new();
        for _ in 0..TABS {
            self.press(Key::Tab).await;
            let (role, focused) = self.focused().await;
            if is(&focused, name) {
                return;
            }
            passed.push(format!("{role} {focused:?}"));
        }
        panic!("Tab does not lead to {name:?}, but to {passed:#?}");
    }
}
