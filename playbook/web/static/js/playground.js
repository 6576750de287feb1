// The playground: Enter sends, Shift and Enter begin a new line; answers can be copied; long texts are counted. Without
// JavaScript the button sends, and the form says what is too long.

"use strict";

document.addEventListener("keydown", (event) => {
  const field = event.target.closest("#ask textarea");
  // While an input method composes a character, Enter chooses it.
  if (!field || event.key !== "Enter" || event.shiftKey || event.isComposing || event.repeat) return;
  event.preventDefault();
  field.form.requestSubmit();
});

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-limit]")) count(event.target);
});

// Nothing is said before nine tenths of the limit.
function count(field) {
  const limit = Number(field.dataset.limit);
  // As the server counts: characters, not UTF-16 units; only counted in full when it may be near.
  const length = field.value.length < limit * 0.9 ? 0 : [...field.value].length;
  let note = field.parentElement.querySelector(".count");
  if (!note) {
    note = document.createElement("p");
    note.setAttribute("aria-live", "polite");
    field.after(note);
  }
  note.hidden = length < limit * 0.9;
  note.className = length > limit ? "count error" : "count help";
  note.textContent = length > limit
    ? `${(length - limit).toLocaleString("en")} characters too many; the limit is ${limit.toLocaleString("en")}`
    : `${(limit - length).toLocaleString("en")} characters left`;
}

// Hint and buttons have their place in the page already, so that nothing moves; without a clipboard these stay unseen.
function offerCopying() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll(".message .copy:not([aria-live])")) button.setAttribute("aria-live", "polite");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".message .copy");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.closest(".message").querySelector(".said").textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});

function prepare() {
  for (const hint of document.querySelectorAll(".keys")) hint.dataset.work = "";
  offerCopying();
}

document.addEventListener("DOMContentLoaded", prepare);
document.addEventListener("htmx:afterSettle", prepare);
document.addEventListener("htmx:oobAfterSwap", prepare);
