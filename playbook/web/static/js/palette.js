// The palette: Ctrl-K, Cmd-K or / opens it, arrows choose, Enter opens, Esc closes. htmx fetches what it shows.
// Without this script the button in the header leads to the search page.
(() => {
  "use strict";
  // By class: a heading of an article may have any id, "palette" too.
  const palette = document.querySelector("dialog.palette");
  if (!palette || !palette.showModal) return;
  const input = palette.querySelector("[role=combobox]");
  const found = palette.querySelector("[data-palette-found]");
  const status = palette.querySelector("[role=status]");
  // For each reader apart: two people may share a browser.
  const RECENT = `playbook-recent-${palette.dataset.reader}`;
  const KEEP = 5;
  // A query that found nothing counts as missed once its reader has stopped typing for so long.
  const GAVE_UP_MS = 2000;
  let gaveUp;

  const options = () => [...found.querySelectorAll("[role=option]")];
  const selected = () => found.querySelector("[aria-selected=true]");

  const recent = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(RECENT) || "[]");
      return Array.isArray(kept) ? kept.filter((one) => /^\/(?!\/)/.test(one.url) && one.title) : [];
    } catch {
      return [];
    }
  };
  const remember = (link) => {
    const title = link.querySelector(".palette-name").textContent.replace(/\s+/g, " ").trim();
    const one = { title, url: link.getAttribute("href") };
    const kept = [one, ...recent().filter((other) => other.url !== one.url)].slice(0, KEEP);
    try {
      localStorage.setItem(RECENT, JSON.stringify(kept));
    } catch {
      // No storage: nothing is remembered.
    }
  };

  const select = (option) => {
    selected()?.setAttribute("aria-selected", "false");
    if (!option) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    option.setAttribute("aria-selected", "true");
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  };
  const move = (step) => {
    const all = options();
    if (all.length) select(all[(all.indexOf(selected()) + step + all.length) % all.length]);
  };

  const showRecent = () => {
    const list = found.querySelector("[role=listbox]");
    const kept = recent();
    if (!list || !kept.length) return;
    const group = document.createElement("div");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Recent");
    const head = document.createElement("div");
    head.className = "palette-group";
    head.setAttribute("role", "presentation");
    head.textContent = "Recent";
    group.append(head);
    kept.forEach((one, index) => {
      const link = document.createElement("a");
      link.href = one.url;
      link.id = `palette-recent-${index}`;
      link.tabIndex = -1;
      link.setAttribute("role", "option");
      link.setAttribute("aria-selected", "false");
      const title = document.createElement("span");
      title.className = "palette-name";
      title.textContent = one.title;
      link.append(title);
      group.append(link);
    });
    list.prepend(group);
  };

  const open = () => {
    if (palette.open) return;
    palette.showModal();
    input.select();
    htmx.trigger(input, "palette-open");
  };
  const openAll = () => input.form.requestSubmit();

  document.querySelector("[data-palette-open]")?.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });
  if (/Mac|iPhone|iPad/.test(navigator.platform)) document.querySelectorAll("[data-palette-key]").forEach((key) => { key.textContent = "⌘ K"; });

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    const shortcut = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k";
    const slash = event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (!shortcut && !slash) return;
    event.preventDefault();
    open();
  });

  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey || !selected())) openAll();
    else if (event.key === "Enter") selected().click();
    else return;
    event.preventDefault();
  });
  input.addEventListener("input", () => clearTimeout(gaveUp));

  found.addEventListener("htmx:afterSwap", () => {
    if (!input.value.trim()) showRecent();
    const all = options();
    input.setAttribute("aria-expanded", String(all.length > 0));
    select(all[0]);
    status.textContent = found.querySelector("[data-palette-status]")?.textContent || "";
    clearTimeout(gaveUp);
    const missed = found.querySelector("[data-palette-missed]");
    if (missed) {
      gaveUp = setTimeout(() => htmx.ajax("POST", found.dataset.missingUrl, { source: found, swap: "none", values: { q: missed.dataset.paletteMissed } }), GAVE_UP_MS);
    }
  });
  found.addEventListener("click", (event) => {
    const link = event.target.closest("a[role=option]");
    if (!link) return;
    remember(link);
    // A link to an anchor of this page loads nothing, so nothing else would close the palette.
    if (!event.ctrlKey && !event.metaKey) palette.close();
  });

  palette.addEventListener("click", (event) => {
    if (event.target === palette || event.target.closest("[data-palette-close]")) palette.close();
  });
  palette.addEventListener("close", () => clearTimeout(gaveUp));
})();
