"use strict";
// The look of cards in Teams: its colours and sizes, as a host configuration for Microsoft's renderer.
function teamsHostConfig(dark) {
  const text = dark ? "#ffffff" : "#242424";
  const subtle = dark ? "#d6d6d6" : "#616161";
  const shade = (color) => ({ default: color, subtle: subtle });
  const colors = {
    default: shade(text), dark: shade(text), light: shade(subtle), accent: shade(dark ? "#a9aaf0" : "#4f52b2"),
    good: shade(dark ? "#92c353" : "#237b4b"), warning: shade(dark ? "#f8d22a" : "#835c00"), attention: shade(dark ? "#f1707b" : "#c4314b"),
  };
  const style = (background, border) => ({ backgroundColor: background, borderColor: border, foregroundColors: colors });
  return new AdaptiveCards.HostConfig({
    fontFamily: '"Segoe UI", system-ui, "Noto Sans", "Noto Sans Arabic", sans-serif',
    fontSizes: { small: 12, default: 14, medium: 16, large: 18, extraLarge: 22 },
    spacing: { small: 6, default: 8, medium: 12, large: 20, extraLarge: 28, padding: 12 },
    separator: { lineThickness: 1, lineColor: dark ? "#525252" : "#e0e0e0" },
    actions: { maxActions: 6, spacing: "default", buttonSpacing: 8, actionsOrientation: "horizontal", actionAlignment: "left" },
    factSet: { title: { weight: "bolder", wrap: true, maxWidth: 160 }, value: { wrap: true }, spacing: 12 },
    containerStyles: {
      default: style(dark ? "#292929" : "#ffffff", "transparent"), emphasis: style(dark ? "#333333" : "#f0f0f0", "transparent"),
      accent: style(dark ? "#2f2f4a" : "#e8ebfa", "transparent"), good: style(dark ? "#1e3a26" : "#e7f2da", "transparent"),
      attention: style(dark ? "#4a2027" : "#fcf4f6", "transparent"), warning: style(dark ? "#463100" : "#fbf6d9", "transparent"),
    },
  });
}

// The Markdown of Teams: emphasis, links and lists (Microsoft: "Format cards in Teams"). A single line end is a space.
function teamsMarkdown() {
  const unread = ["blockquote", "code", "fence", "heading", "hr", "lheading", "reference", "table", "backticks", "image", "strikethrough"];
  return window.markdownit({ html: false, breaks: false }).disable(unread);
}

// The renderer's pattern is global, so each test of a `lang` begins where the one before ended: every second one fails.
AdaptiveCards.CardElement.langProperty.regEx = /^[a-z]{2,3}$/i;

function drawCard(json, dark) {
  const markdown = teamsMarkdown();
  AdaptiveCards.AdaptiveCard.onProcessMarkdown = (source, result) => {
    result.outputHtml = markdown.render(source);
    result.didProcess = true;
  };
  const card = new AdaptiveCards.AdaptiveCard();
  card.hostConfig = teamsHostConfig(dark);
  card.onExecuteAction = (action) => {
    if (action instanceof AdaptiveCards.OpenUrlAction && /^https?:/.test(action.url)) window.open(action.url, "_blank", "noopener");
  };
  card.parse(json);
  return card.render();
}
