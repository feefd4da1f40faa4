// What the page can do with JavaScript and does without it too, but for live updates.
"use strict";

// How times are written below a picture.
const AXIS = {
  clock: { hour: "numeric", minute: "2-digit" },
  day: { month: "short", day: "numeric", hour: "numeric" },
};

// Times in the reader's own zone; the exact one stays on hover.
function localise(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const axis = AXIS[time.dataset.as];
    if (axis) {
      time.textContent = at.toLocaleString(undefined, axis);
      continue;
    }
    const clock = at.toLocaleTimeString(undefined, { timeStyle: "medium" });
    const day = at.toLocaleDateString(undefined, { dateStyle: "medium" });
    time.textContent = at.toDateString() === today ? `Today ${clock}` : `${day} ${clock}`;
  }
}

// New attempts appear at the top of the log.
function follow(log) {
  const card = log.closest("[data-log]");
  const live = card.querySelector("[data-live]");
  const stream = new EventSource(log.dataset.stream);
  stream.onopen = () => live.removeAttribute("hidden");
  stream.onerror = () => live.setAttribute("hidden", "");
  stream.onmessage = (message) => {
    const rows = document.createElement("tbody");
    rows.innerHTML = message.data;
    localise(rows);
    for (const row of rows.children) {
      row.classList.add("new");
      // What is tried again need not be sent again by an older row.
      const same = `tr[data-delivery="${CSS.escape(row.dataset.delivery)}"] form`;
      for (const form of log.querySelectorAll(same)) form.remove();
    }
    log.prepend(...rows.children);
    document.querySelector("[data-empty]")?.setAttribute("hidden", "");
    card.removeAttribute("hidden");
  };
  // A page that is kept for going back must not keep its connection.
  addEventListener("pagehide", () => stream.close());
}

// How far something is that goes on, without loading the page again: that would take its readers
// from where they are. Once it has ended the page is loaded anew.
async function watch(part) {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const answer = await fetch(location.href).catch(() => undefined);
    // Away for a moment.
    if (!answer || answer.status >= 500) continue;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.querySelector("[data-watch]");
    if (!now) return location.reload();
    localise(now);
    part.replaceChildren(...now.childNodes);
  }
}

// Copies a text, and says so.
function copying(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy).textContent;
    await navigator.clipboard.writeText(text);
    const name = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = name), 2000);
  });
}

localise(document);
for (const log of document.querySelectorAll("tbody[data-stream]")) follow(log);
for (const part of document.querySelectorAll("[data-watch]")) watch(part);
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button[data-copy]")) copying(button);
}
