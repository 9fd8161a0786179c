"use strict";
// Renders the card of this page and reports its height to the page around it.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const host = document.getElementById("card");
function show() {
  host.replaceChildren(drawCard(JSON.parse(document.getElementById("source").textContent), dark.matches));
  for (const input of host.querySelectorAll("button")) if (input.disabled) input.title = "Links of cards do not work in the console";
}
dark.addEventListener("change", show);
show();
new ResizeObserver(() => parent.postMessage({ cardHeight: document.documentElement.offsetHeight }, "*")).observe(document.body);
