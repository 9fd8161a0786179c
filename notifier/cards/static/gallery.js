"use strict";
// Shows the cards of the gallery in the frames that the filters ask for.
const entries = JSON.parse(document.getElementById("cards").textContent);
const form = document.getElementById("filters");
const list = document.getElementById("list");

function element(name, className, words) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (words !== undefined) made.textContent = words;
  return made;
}

function drawAll() {
  const wanted = Object.fromEntries(new FormData(form));
  const themes = wanted.theme === "all" ? ["light", "dark"] : [wanted.theme];
  const widths = wanted.width === "all" ? ["narrow", "wide"] : [wanted.width];
  const shown = entries.filter(
    (entry) => (wanted.lang === "all" || entry.lang === wanted.lang) && (wanted.card === "all" || entry.template.split(".")[0] === wanted.card),
  );
  list.replaceChildren(
    ...shown.map((entry) => {
      const section = element("section");
      section.append(element("h2", "", `${entry.template}: ${entry.event_type}`));
      section.append(element("p", "muted", `${entry.lang} · ${entry.priority} · ${entry.size.toLocaleString("en")} bytes as Teams counts them`));
      for (const fault of entry.faults) section.append(element("p", "refused", `Teams would not show this: ${fault}`));
      const frames = element("div", "frames");
      for (const theme of themes) {
        for (const width of widths) {
          const frame = element("div", `frame ${theme} ${width}`);
          frame.dataset.card = `${entry.template}, ${entry.event_type}`;
          frame.append(drawCard(entry.card, theme === "dark"));
          frames.append(frame);
        }
      }
      section.append(frames);
      return section;
    }),
  );
  document.getElementById("count").textContent = `${shown.length} of ${entries.length} shown`;
  document.body.dataset.shown = JSON.stringify(wanted);
}

const asked = new URLSearchParams(location.hash.slice(1));
for (const [name, value] of asked) if (form.elements[name]) form.elements[name].value = value;
form.addEventListener("change", drawAll);
form.addEventListener("submit", (event) => event.preventDefault());
drawAll();
