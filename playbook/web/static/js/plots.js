// Line plots: the pointer, or the arrow keys once a plot has the focus, read the values off the lines. Without JavaScript
// the axes, the labels at the ends and the summary say what there is.

"use strict";

const NS = "http://www.w3.org/2000/svg";
// Where lines end that leave the plot at the top: they are higher than can be drawn (playbook.web.common.plots).
const BEYOND = -1e7;
// Which plot is read, and where: share of its width. Kept across the polls of a live page, which draw it anew.
let reading = null;
// The plot that has the focus while its part of the page is swapped.
let focused = "";

// The points of a line as (share of the width, y in pixels), from its own path.
function pointsOf(path) {
  path.points ??= path.getAttribute("d").slice(1).split("L").map((pair) => pair.split(" ").map(Number));
  return path.points;
}

function nearest(points, x) {
  let low = 0;
  let high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle; else high = middle;
  }
  return x - points[low][0] < points[high][0] - x ? points[low] : points[high];
}

// As the site writes numbers: three digits, without a needless exponent.
function text(value) {
  if (value === 0) return "0";
  if (Math.abs(value) >= 1e9) return value.toExponential(2).replace(/[.]?0*e[+]/, "e");
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  const shown = Number(value.toPrecision(3));
  return Math.abs(shown) >= 1e-4 ? String(shown) : value.toExponential(1).replace(".0e", "e");
}

function clear(frame) {
  frame.parentElement.querySelector(".readout")?.remove();
  frame.querySelectorAll(".cursor").forEach((part) => part.remove());
}

function show(frame, share) {
  clear(frame);
  const [left, right, low, high, bottom, top] = frame.dataset.scale.split(" ").map(Number);
  const found = [...frame.querySelectorAll("path[data-name]")].map((path) => {
    const [x, y] = nearest(pointsOf(path), share * 100);
    const at = low + ((bottom - y) / (bottom - top)) * (high - low);
    const isLog = frame.hasAttribute("data-log");
    const beyond = y <= BEYOND ? "over " : isLog && y >= bottom ? "below " : "";
    return { path, x, step: Math.round(left + (x / 100) * (right - left)), value: isLog ? 10 ** at : at, beyond };
  });
  // The cursor stands on a point of the line that has one nearest to the pointer.
  const anchor = found.reduce((a, b) => (Math.abs(b.x - share * 100) < Math.abs(a.x - share * 100) ? b : a));
  const line = document.createElementNS(NS, "line");
  Object.entries({ class: "cursor", x1: `${anchor.x}%`, x2: `${anchor.x}%`, y1: top, y2: bottom })
    .forEach(([name, value]) => line.setAttribute(name, value));
  frame.append(line);
  const box = document.createElement("div");
  box.className = "readout";
  if (document.activeElement === frame) box.setAttribute("role", "status");
  const head = document.createElement("strong");
  head.textContent = `${frame.dataset.x} ${anchor.step.toLocaleString("en")}`;
  box.append(head);
  for (const { path, step, value, beyond } of found.sort((a, b) => b.value - a.value)) {
    const row = document.createElement("div");
    const name = document.createElement("span");
    name.textContent = path.dataset.name;
    const said = document.createElement("span");
    // A line with fewer points, such as validation, says which of them is meant.
    said.textContent = step === anchor.step ? beyond + text(value) : `${beyond}${text(value)} at ${step.toLocaleString("en")}`;
    if (step !== anchor.step) said.className = "muted";
    row.append(name, said);
    box.append(row);
  }
  const figure = frame.parentElement;
  figure.append(box);
  const at = frame.getBoundingClientRect().left - figure.getBoundingClientRect().left + (anchor.x / 100) * frame.clientWidth;
  const beside = at + 12 + box.offsetWidth <= figure.clientWidth ? at + 12 : Math.max(0, at - 12 - box.offsetWidth);
  box.style.left = `${beside}px`;
  reading = { id: frame.id, share: anchor.x / 100 };
}

function frameAt(event) {
  const frame = event.target.closest?.("figure.plot")?.querySelector("svg.frame[data-scale]");
  if (!frame) return null;
  const { left, width, top, height } = frame.getBoundingClientRect();
  const share = (event.clientX - left) / width;
  return share >= -0.02 && share <= 1.02 && event.clientY >= top && event.clientY <= top + height ? [frame, share] : null;
}

function stop() {
  const frame = reading && document.getElementById(reading.id);
  if (frame) clear(frame);
  reading = null;
}

document.addEventListener("pointermove", (event) => {
  const found = frameAt(event);
  if (reading && reading.id !== found?.[0].id && document.activeElement?.id !== reading.id) stop();
  if (found) show(...found);
});
document.addEventListener("pointerdown", (event) => {
  const found = frameAt(event);
  if (found) show(...found); else stop();
});
document.documentElement.addEventListener("pointerleave", stop);

document.addEventListener("keydown", (event) => {
  const frame = event.target.closest?.("svg.frame[data-scale]");
  if (!frame || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return stop();
  const every = [...new Set([...frame.querySelectorAll("path[data-name]")].flatMap((path) => pointsOf(path).map(([x]) => x)))];
  every.sort((a, b) => a - b);
  const now = reading?.id === frame.id ? every.findIndex((x) => x >= reading.share * 100 - 1e-6) : every.length;
  const next = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: every.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  show(frame, every[Math.min(every.length - 1, Math.max(0, next))] / 100);
});
document.addEventListener("focusout", (event) => {
  if (!focused && event.target.closest?.("svg.frame[data-scale]")) stop();
});

// Reached with the keyboard only where a script reads it.
function offer() {
  document.querySelectorAll("svg.frame[data-scale]:not([tabindex])").forEach((frame) => frame.setAttribute("tabindex", "0"));
}
offer();
document.addEventListener("htmx:beforeSwap", () => {
  focused = document.activeElement?.closest?.("svg.frame[data-scale]")?.id ?? "";
});
document.addEventListener("htmx:afterSwap", () => {
  const { id, share } = reading ?? {};
  offer();
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
  focused = "";
  const frame = id && document.getElementById(id);
  if (frame) show(frame, share);
});
