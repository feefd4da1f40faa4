// What the page can do with JavaScript and does without it too, but for live updates.
"use strict";

// Times in the reader's own zone; the exact one stays on hover.
function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    }
  }
}

// New attempts appear at the top of the log.
function follow(log) {
  const stream = new EventSource(log.dataset.stream);
  stream.onmessage = (message) => {
    const row = document.createElement("tbody");
    row.innerHTML = message.data;
    localise(row);
    log.prepend(...row.children);
    document.querySelector("[data-empty]")?.setAttribute("hidden", "");
    log.closest("table").removeAttribute("hidden");
  };
}

localise(document);
for (const log of document.querySelectorAll("tbody[data-stream]")) {
  follow(log);
}
