"use strict";
// Renders cards with Microsoft's renderer. Everything from an event reaches the page through it or as textContent.
const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
function line(words, className) {
  const paragraph = document.createElement("p");
  paragraph.className = className;
  paragraph.textContent = words;
  return paragraph;
}

function rendered(message) {
  const article = document.createElement("article");
  article.className = "message";
  article.append(line(new Date(message.received_at * 1000).toLocaleTimeString(), "muted"));
  if (message.refused) {
    article.append(line(message.refused, "refused"));
    return article;
  }
  for (const fault of message.faults || []) article.append(line(`Teams would not show this: ${fault}`, "refused"));
  article.append(drawCard(message.card, dark));
  return article;
}

async function follow(channel) {
  const list = document.getElementById("messages");
  let after = 0;
  for (;;) {
    try {
      const answer = await fetch(`/api/channels/${channel}?after=${after}`);
      for (const message of (await answer.json()).messages) {
        list.prepend(rendered(message));
        after = message.number;
        document.getElementById("empty").hidden = true;
      }
      while (list.children.length > 200) list.lastElementChild.remove();
      document.getElementById("away").hidden = true;
    } catch {
      document.getElementById("away").hidden = false;
    }
    await new Promise((next) => setTimeout(next, 1000));
  }
}

async function overview() {
  for (;;) {
    try {
      const channels = (await (await fetch("/api/channels")).json()).channels;
      for (const { name, count } of channels) document.getElementById(`count-${name}`).textContent = count;
      document.getElementById("away").hidden = true;
    } catch {
      document.getElementById("away").hidden = false;
    }
    await new Promise((next) => setTimeout(next, 1000));
  }
}

const channel = document.body.dataset.channel;
if (channel) follow(channel);
else overview();
