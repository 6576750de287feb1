// Answering while others answer too. Without this file answers are saved on leaving a field, and nothing is watched.

"use strict";

const PAUSE = 1500; // milliseconds without a key after which what is typed is saved
const timers = new WeakMap();
const sent = new Map(); // id of a card → what stood in its fields when it was sent

let underWay = 0; // requests of the cards
let ended = 0;
let endedBefore = 0; // of them, when the site was last asked what others did

const cardOf = (element) => (element instanceof Element && element.matches("article.question") ? element : null);
const textsOf = (card) => [...card.querySelectorAll("textarea[id], input[type='text'][id]")];
const isTyped = (field) => field.value !== field.defaultValue;
const isBusy = (card) => textsOf(card).some(isTyped) || card.querySelector("[role='alert']") !== null;
const revisionOf = (part) => part.querySelector("[name='seen_revision']").value;

function saveSoon(event) {
  const form = event.target.closest("article.question form[hx-trigger]");
  if (!form || !event.target.matches("textarea, input[type='text']")) return;
  clearTimeout(timers.get(form));
  timers.set(form, setTimeout(() => {
    const value = new FormData(form).get("value");
    if (form.isConnected && isTyped(event.target) && value && value.trim()) form.dispatchEvent(new CustomEvent("typed"));
  }, PAUSE));
}

function remember(event) {
  const card = event.detail.elt.closest("article.question");
  if (!card) return;
  clearTimeout(timers.get(event.detail.elt));
  sent.set(card.id, new Map(textsOf(card).map((field) => [field.id, field.value])));
}

// What was typed while the answer was on its way stays, in the card that comes back, and is saved next.
function keepTyping(event) {
  const card = cardOf(event.detail.target);
  const before = card && event.detail.shouldSwap && sent.get(card.id);
  if (!before) return;
  const later = textsOf(card).filter((field) => before.has(field.id) && before.get(field.id) !== field.value);
  sent.delete(card.id);
  if (!later.length) return;
  document.addEventListener("htmx:afterSwap", () => {
    for (const old of later) {
      const field = document.getElementById(old.id);
      if (!field) continue;
      const mine = field.closest("article").querySelector(`.collision input[name="${old.name}"]`);
      (mine || field).value = old.value; // beside somebody else's answer, mine waits to be chosen
      if (!mine) field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }, { once: true });
}

// A card in which somebody is typing is not replaced by what others did: it says so, and the answer that is sent
// next meets theirs, where both are shown.
function guard(event) {
  const card = cardOf(event.detail.target);
  if (!card) return;
  const fresh = event.detail.fragment.querySelector(".news");
  const known = fresh && !fresh.textContent && revisionOf(card) === revisionOf(event.detail.fragment);
  if (!known && !isBusy(card)) return;
  event.preventDefault();
  if (known || !fresh) return;
  const shown = card.querySelector(".news");
  if (shown) shown.textContent = fresh.textContent;
}

function follow(event) {
  if (event.detail.elt.id === "changes") {
    endedBefore = ended;
    return;
  }
  underWay += 1;
  event.detail.xhr.addEventListener("loadend", () => {
    underWay -= 1;
    ended += 1;
  });
}

// What was asked beside an answer does not know which cards the answer brings, and would bring them again: it is
// dropped, and asked once more a moment later.
function dropOvertaken(event) {
  if (event.detail.elt.id === "changes" && (underWay || ended !== endedBefore)) event.detail.shouldSwap = false;
}

function sayUnsaved(event) {
  const card = event.detail.elt.closest("article.question");
  const state = card && card.querySelector(".save-state");
  if (state) state.textContent = "Not saved: the site did not take it. What you wrote stays here; try again.";
}

document.addEventListener("input", saveSoon);
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt.id === "changes" && document.hidden) event.preventDefault();
  else remember(event);
});
document.addEventListener("htmx:beforeSend", follow);
document.addEventListener("htmx:beforeSwap", keepTyping);
document.addEventListener("htmx:beforeSwap", dropOvertaken);
document.addEventListener("htmx:oobBeforeSwap", guard);
document.addEventListener("htmx:responseError", sayUnsaved);
document.addEventListener("htmx:sendError", sayUnsaved);
