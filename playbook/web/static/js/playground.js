// The playground's field: Enter sends, Shift and Enter begin a new line. Without JavaScript the button sends.

"use strict";

document.addEventListener("keydown", (event) => {
  const field = event.target.closest("#ask textarea");
  // While an input method composes a character, Enter chooses it.
  if (!field || event.key !== "Enter" || event.shiftKey || event.isComposing || event.repeat) return;
  event.preventDefault();
  field.form.requestSubmit();
});

function sayKeys() {
  for (const hint of document.querySelectorAll("[data-keys]")) hint.hidden = false;
}

document.addEventListener("DOMContentLoaded", sayKeys);
document.addEventListener("htmx:afterSettle", sayKeys);
