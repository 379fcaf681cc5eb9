// What every part of the page needs. What models wrote becomes text nodes, here and nowhere else, and never HTML.

const DATA = JSON.parse(document.getElementById("data").textContent);
const NUMBER = new Intl.NumberFormat("en-US");
const UNIT = DATA.unit;

function n(value) {
  return NUMBER.format(value);
}

function percent(part, whole) {
  if (!whole) return "–";
  const share = (100 * part) / whole;
  return share > 0 && share < 0.1 ? "< 0.1 %" : `${Number(share.toFixed(1))} %`;
}

function units(count, unit = UNIT) {
  return `${n(count)} ${unit}${count === 1 ? "" : "s"}`;
}

// An element with attributes and children; strings become text nodes, what is null or false is left out.
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  fill(element, ...children);
  return element;
}

function fill(element, ...children) {
  const wanted = children.flat(Infinity).filter((child) => child != null && child !== false);
  element.replaceChildren(...wanted.map((child) => (child instanceof Node ? child : document.createTextNode(child))));
}

// Text of unknown script, kept from turning the direction of what stands around it.
function foreign(text) {
  return el("bdi", {}, text);
}

// --- dark and light

const theme = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

function showTheme() {
  theme.textContent = isDark() ? "Light" : "Dark";
  theme.setAttribute("aria-label", isDark() ? "Change to light" : "Change to dark");
}

theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});
system.addEventListener("change", showTheme);
theme.hidden = false;
showTheme();
