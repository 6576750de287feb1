// Reading aids of an article page: the place in the contents, copying code, previews of links. The page works without.

"use strict";

function followHeadings() {
  const links = new Map();
  for (const link of document.querySelectorAll(".toc a[href^='#']")) {
    links.set(decodeURIComponent(link.hash.slice(1)), link);
  }
  const headings = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  if (!headings.length) return;
  let current = null;
  let asked = false;
  const mark = () => {
    asked = false;
    // The last heading that was scrolled past; at the end of the page the last of all, which may never get there.
    const atEnd = scrollY > 0 && innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
    const past = headings.filter((heading) => atEnd || heading.getBoundingClientRect().top < 140);
    const found = past[past.length - 1] || null;
    if (found === current) return;
    if (current) links.get(current.id).removeAttribute("aria-current");
    if (found) links.get(found.id).setAttribute("aria-current", "location");
    current = found;
  };
  // Not an IntersectionObserver: a jump over all headings, as by Home and End, crosses none of them.
  const markSoon = () => {
    if (!asked) requestAnimationFrame(mark);
    asked = true;
  };
  addEventListener("scroll", markSoon, { passive: true });
  addEventListener("resize", markSoon, { passive: true });
  markSoon();
}

function offerCopying() {
  if (!navigator.clipboard) return;
  for (const block of document.querySelectorAll(".prose .highlight")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy button small";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(block.querySelector("pre").innerText.replace(/\n$/, ""));
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    button.setAttribute("aria-live", "polite");
    block.append(button); // placed by absolute position: nothing moves
  }
}

// WCAG 1.4.13: Escape closes it, the pointer may move onto it, and it stays until pointer and focus have left.
function offerPreviews() {
  const card = document.createElement("div");
  card.id = "link-preview";
  card.className = "card link-preview";
  card.role = "tooltip";
  card.hidden = true;
  document.body.append(card);
  const kept = new Map();
  let shownFor = null;
  let timer = 0;

  const hide = () => {
    clearTimeout(timer);
    if (shownFor) shownFor.removeAttribute("aria-describedby");
    shownFor = null;
    card.hidden = true;
  };
  const fetchCard = async (path) => {
    if (!kept.has(path)) {
      const answer = await fetch(`${path}preview/`, { headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) return null;
      kept.set(path, await answer.text());
    }
    return kept.get(path);
  };
  const show = async (link) => {
    const wanted = (shownFor = link);
    const html = await fetchCard(link.pathname).catch(() => null);
    if (shownFor !== wanted || !html) return;
    card.innerHTML = html; // from our own server, escaped there
    card.hidden = false;
    link.setAttribute("aria-describedby", card.id);
    const box = link.getBoundingClientRect();
    const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - card.offsetWidth - 8));
    const below = box.bottom + card.offsetHeight + 8 < innerHeight;
    card.style.left = `${left + scrollX}px`;
    card.style.top = `${(below ? box.bottom + 2 : box.top - card.offsetHeight - 2) + scrollY}px`;
  };
  const later = (action, delay) => {
    clearTimeout(timer);
    timer = setTimeout(action, delay);
  };

  for (const link of document.querySelectorAll(".article a[href^='/library/']")) {
    if (!/^\/library\/[a-z0-9-]+\/[a-z0-9-]+\/$/.test(link.pathname) || link.pathname === location.pathname) continue;
    if (link.pathname.startsWith("/library/calculators/") || link.pathname.startsWith("/library/tags/")) continue;
    link.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") later(() => show(link), 300);
    });
    link.addEventListener("pointerleave", () => later(hide, 250));
    link.addEventListener("focus", () => { if (link.matches(":focus-visible")) later(() => show(link), 150); });
    link.addEventListener("blur", () => later(hide, 50));
  }
  card.addEventListener("pointerenter", () => clearTimeout(timer));
  card.addEventListener("pointerleave", () => later(hide, 250));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
}

// The style sheet shows definitions of terms; Escape puts one away until pointer or focus come again.
function letTermsGo() {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const term of document.querySelectorAll(".term:hover, .term:focus-within")) term.classList.add("dismissed");
  });
  for (const term of document.querySelectorAll(".term")) {
    term.addEventListener("pointerenter", () => term.classList.remove("dismissed"));
    term.addEventListener("focusout", () => term.classList.remove("dismissed"));
  }
}

followHeadings();
letTermsGo();
offerCopying();
offerPreviews();
