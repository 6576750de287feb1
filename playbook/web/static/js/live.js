// Parts of a page that fetch themselves anew while a job runs: what somebody has marked stays marked, the log stays at
// the lines that are read, and a link or button keeps the focus. Without JavaScript the page loads anew as a whole.

"use strict";

// What had the focus as its part was replaced. What has an id gets it back from htmx.
let focusedName = "";
// Where the log was read: pixels from its top, and its first line at that time.
let read = null;

function nameOf(node) {
  return `${node.tagName} ${node.getAttribute("href") ?? ""} ${node.textContent.trim()}`;
}

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const part = detail.target;
  if (detail.requestConfig.elt !== part) return; // somebody asked for it
  const marked = getSelection();
  if (!marked.isCollapsed && marked.containsNode(part, true)) detail.shouldSwap = false; // until the next poll
  const active = document.activeElement;
  focusedName = part.contains(active) && !active.id ? nameOf(active) : "";
  const log = part.querySelector(".log");
  read = log?.scrollTop ? { at: log.scrollTop, first: log.firstElementChild.textContent } : null;
});

document.addEventListener("htmx:afterSwap", () => {
  if (focusedName) {
    const found = [...document.querySelectorAll("#live a, #live button, #live summary, #live [tabindex]")];
    found.find((node) => nameOf(node) === focusedName)?.focus({ preventScroll: true });
  }
  const log = read && document.querySelector("#log-lines .log");
  if (log) {
    const first = [...log.children].find((line) => line.textContent === read.first);
    log.scrollTop = read.at + (first ? first.offsetTop - log.firstElementChild.offsetTop : 0);
  }
  focusedName = "";
  read = null;
});
