// An enhancement: every page works without it. It adds a filter above long
// tables, and opens the entry that a link leads to.
"use strict";

for (const table of document.querySelectorAll("table[data-filter]")) {
  const rows = table.tBodies[0].rows;
  if (rows.length < 8) continue;
  const texts = Array.from(rows, (row) => row.textContent.toLowerCase());

  const label = document.createElement("label");
  label.textContent = "Filter the rows of this page";
  const input = document.createElement("input");
  input.type = "search";
  input.id = "filter";
  input.autocomplete = "off";
  label.htmlFor = input.id;
  const shown = document.createElement("output");
  shown.htmlFor = input.id;
  const box = document.createElement("p");
  box.className = "filter";
  box.append(label, input, shown);

  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    texts.forEach((text, i) => {
      const keep = words.every((word) => text.includes(word));
      rows[i].hidden = !keep;
      if (keep) n++;
    });
    shown.textContent = words.length === 0 ? "" : n + " of " + rows.length + " rows";
  });
  (table.closest(".scroll") || table).before(box);
}

function open() {
  const id = decodeURIComponent(location.hash.slice(1));
  const target = id && document.getElementById(id);
  const item = target && target.closest("details");
  if (!item) return;
  item.open = true;
  item.scrollIntoView();
}
addEventListener("hashchange", open);
open();

// A printed page shows what is folded.
addEventListener("beforeprint", () => {
  for (const item of document.querySelectorAll("details:not([open])")) {
    item.dataset.folded = "";
    item.open = true;
  }
});
addEventListener("afterprint", () => {
  for (const item of document.querySelectorAll("details[data-folded]")) {
    item.open = false;
    delete item.dataset.folded;
  }
});
