"use strict";
addEventListener("message", (event) => {
  for (const frame of document.querySelectorAll("iframe"))
    if (event.source === frame.contentWindow && event.data && event.data.cardHeight > 0) frame.style.height = `${Math.min(event.data.cardHeight, 4000) + 4}px`;
});
