// Keys 1, 2 and = press the three buttons of a row, while the focus lies within it: nowhere else do they mean anything.
document.addEventListener("keydown", (event) => {
  const row = event.target.closest("[data-blind]");
  if (!row || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const button = [...row.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key);
  if (button) {
    event.preventDefault();
    button.click();
  }
});
