// The taxonomy: field > discipline > subject > class session, one part open at a time, the ones inside it shown small.

const [NAME, RECORDS, REJECTED, LEVEL, CHILDREN, FOLDED] = [0, 1, 2, 3, 4, 5];
const KINDS = [...(DATA.fields ? ["field"] : []), "discipline", "subject", "session"];
const HUES = [215, 30, 155, 80, 295, 185, 350, 110];
const LIST_MOST = 400;

const map = {
  path: [], // the open part, as places in lists of children
  root: document.getElementById("treemap"),
  crumbs: el("nav", { "aria-label": "Place in the taxonomy", class: "crumbs" }),
  tiles: el("div", { class: "tiles", role: "group" }),
  readout: el("p", { class: "readout" }),
  list: el("details", { class: "list" }),
};

function childrenOf(node) {
  return node[CHILDREN] || [];
}

function open() {
  return map.path.reduce((node, place) => childrenOf(node)[place], DATA.tree);
}

function kind(depth, count = 1) {
  const name = KINDS[depth] || "part";
  return count === 1 ? name : `${name}s`;
}

function nameOf(node, depth) {
  if (node[FOLDED]) return `${n(node[FOLDED])} more ${kind(depth, node[FOLDED])}`;
  return node[NAME] || "without a name";
}

function describe(node, depth) {
  const parts = [units(node[RECORDS])];
  if (node[LEVEL]) parts.unshift(`level ${node[LEVEL]}`);
  parts.push(`${percent(node[RECORDS], DATA.tree[RECORDS])} of the run`);
  if (node[REJECTED]) parts.push(`${n(node[REJECTED])} rejected`);
  const inside = childrenOf(node).reduce((sum, child) => sum + (child[FOLDED] || 1), 0);
  if (inside) parts.push(`${n(inside)} ${kind(depth + 1, inside)}`);
  return parts.join(", ");
}

// --- layout: rows of tiles, each as near to squares as it gets (squarified treemap, Bruls et al. 2000)

function squarify(nodes, box) {
  const items = nodes.filter((node) => node[RECORDS] > 0);
  const total = items.reduce((sum, node) => sum + node[RECORDS], 0);
  const scale = (box.w * box.h) / total;
  const placed = [];
  let { x, y, w, h } = box;
  for (let at = 0; at < items.length; ) {
    const side = Math.min(w, h);
    let [row, area, worst] = [[], 0, Infinity];
    for (let next = at; next < items.length; next++) {
      const size = items[next][RECORDS] * scale;
      const [largest, smallest] = [(row[0] || items[next])[RECORDS] * scale, size];
      const sum = area + size;
      const ratio = Math.max((side * side * largest) / (sum * sum), (sum * sum) / (side * side * smallest));
      if (ratio > worst) break;
      row.push(items[next]);
      [area, worst] = [sum, ratio];
    }
    const thick = area / side;
    let along = 0;
    for (const node of row) {
      const length = (node[RECORDS] * scale) / thick;
      placed.push(w >= h ? { node, x, y: y + along, w: thick, h: length } : { node, x: x + along, y, w: length, h: thick });
      along += length;
    }
    if (w >= h) [x, w] = [x + thick, w - thick];
    else [y, h] = [y + thick, h - thick];
    at += row.length;
  }
  return placed;
}

// Through the object model: a policy that forbids inline styles lets that pass, and percents fit a printed page too.
function place(element, { x, y, w, h }, whole) {
  element.style.left = `${(100 * x) / whole.w}%`;
  element.style.top = `${(100 * y) / whole.h}%`;
  element.style.width = `${(100 * w) / whole.w}%`;
  element.style.height = `${(100 * h) / whole.h}%`;
}

function hue(node, place) {
  const top = map.path.length ? map.path[0] : place;
  return top < HUES.length ? HUES[top] : (top * 137.5) % 360;
}

// --- drawing

function tile(item, whole) {
  const { node } = item;
  const depth = map.path.length;
  const index = childrenOf(open()).indexOf(node);
  const inside = childrenOf(node).length > 0;
  const fits = item.w > 44 && item.h > 30;
  const label = `${nameOf(node, depth)}: ${describe(node, depth)}`;
  const button = el(
    "button",
    {
      type: "button",
      class: `tile${inside ? " opens" : ""}${node[FOLDED] ? " folded" : ""}`,
      "aria-label": inside ? `${label}. Opens.` : label,
      tabindex: "-1",
      "data-index": index,
      onclick: () => inside && go([...map.path, index]),
      onfocus: () => read(node, depth),
      onmouseenter: () => read(node, depth),
    },
    fits && el("span", { class: wraps(nameOf(node, depth), item.w) ? "name" : "name cut" }, foreign(nameOf(node, depth))),
    fits && item.h > 48 && el("span", { class: "count" }, n(node[RECORDS])),
  );
  button.style.setProperty("--hue", hue(node, index));
  place(button, item, whole);
  if (inside && item.w > 90 && item.h > 90) button.append(inner(node, item));
  return button;
}

// Whether the longest word has room on a line of its own, by the width of letters as they mostly are.
function wraps(name, width) {
  return Math.max(...name.split(/[\s-]+/).map((word) => word.length)) * 5.9 + 10 <= width;
}

// What a tile holds, as a picture of it: reached by opening the tile.
function inner(node, item) {
  const box = { x: 0, y: 0, w: item.w - 12, h: item.h - 52 };
  const holder = el("span", { class: "inner", "aria-hidden": "true" });
  for (const part of squarify(childrenOf(node), box)) {
    const name = nameOf(part.node, map.path.length + 1);
    const fits = part.w > 40 && part.h > 20;
    const small = el("span", { class: wraps(name, part.w) ? "small-tile" : "small-tile cut" }, fits && foreign(name));
    place(small, part, box);
    holder.append(small);
  }
  return holder;
}

function draw() {
  const node = open();
  const whole = { x: 0, y: 0, w: map.tiles.clientWidth || 900, h: map.tiles.clientHeight || 460 };
  const placed = squarify(childrenOf(node), whole);
  map.tiles.setAttribute("aria-label", `${nameOf(node, map.path.length - 1) || "The run"}: arrow keys move, Enter opens, Escape goes back`);
  fill(map.tiles, placed.length ? placed.map((item) => tile(item, whole)) : el("p", { class: "empty" }, emptyWords()));
  map.tiles.classList.toggle("bare", !placed.length);
  const first = map.tiles.querySelector(".tile");
  if (first) first.tabIndex = 0;
  drawCrumbs();
  drawList(node);
  read(node, map.path.length - 1);
}

function emptyWords() {
  if (map.path.length) return `No ${UNIT}s in it yet.`;
  return childrenOf(DATA.tree).length ? `No ${UNIT}s yet: the list below has what is planned.` : "No disciplines yet.";
}

function drawCrumbs() {
  const steps = [el("li", {}, crumb("The whole run", []))];
  let node = DATA.tree;
  map.path.forEach((at, depth) => {
    node = childrenOf(node)[at];
    steps.push(el("li", {}, crumb(nameOf(node, depth), map.path.slice(0, depth + 1))));
  });
  fill(map.crumbs, el("ol", {}, steps));
}

function crumb(name, path) {
  const here = path.length === map.path.length;
  if (here) return el("span", { "aria-current": "location" }, foreign(name));
  return el("button", { type: "button", onclick: () => go(path) }, foreign(name));
}

function drawList(node) {
  const depth = map.path.length;
  const all = childrenOf(node);
  const count = all.reduce((sum, child) => sum + (child[FOLDED] || 1), 0);
  const head = ["", ...(all.some((child) => child[LEVEL]) ? ["level"] : []), `${UNIT}s`, "of this", "rejected"];
  const rows = all.slice(0, LIST_MOST).map((child, index) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, childrenOf(child).length
        ? el("button", { type: "button", class: "link", onclick: () => go([...map.path, index]) }, foreign(nameOf(child, depth)))
        : foreign(nameOf(child, depth))),
      head.length > 4 && el("td", { class: "num" }, child[LEVEL] || ""),
      el("td", { class: "num" }, n(child[RECORDS])),
      el("td", { class: "num" }, percent(child[RECORDS], node[RECORDS])),
      el("td", { class: "num" }, n(child[REJECTED] || 0)),
    ),
  );
  const left = all.length - rows.length;
  map.list.hidden = !count;
  fill(
    map.list,
    el("summary", {}, `The ${n(count)} ${kind(depth, count)} as a list`),
    el("table", { class: "plain" },
      el("thead", {}, el("tr", {}, head.map((name, at) => el("th", at ? { class: "num" } : {}, name)))),
      el("tbody", {}, rows)),
    kind(depth) === "session" && count > 0 && el("p", { class: "small" }, `A ${UNIT} about two sessions counts in both.`),
    left > 0 && el("p", { class: "small" }, `and ${n(left)} more`),
  );
}

function read(node, depth) {
  fill(map.readout, el("strong", {}, foreign(depth < 0 ? "The whole run" : nameOf(node, depth))), ` ${describe(node, depth)}`);
}

// --- moving

function go(path, focus = 0) {
  map.path = path;
  draw();
  const tiles = [...map.tiles.querySelectorAll(".tile")];
  const wanted = tiles.find((one) => Number(one.dataset.index) === focus) || tiles[0];
  if (wanted) step(wanted);
  else map.crumbs.querySelector("button")?.focus();
}

function up() {
  if (map.path.length) go(map.path.slice(0, -1), map.path.at(-1));
}

function step(tile) {
  for (const one of map.tiles.querySelectorAll(".tile")) one.tabIndex = -1;
  tile.tabIndex = 0;
  tile.focus({ preventScroll: true });
}

const TOWARDS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

// The tile that lies nearest in a direction; what lies straight ahead comes before what lies aside.
function neighbour(from, [dx, dy]) {
  const middle = (one) => {
    const box = one.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const [x, y] = middle(from);
  let [best, least] = [null, Infinity];
  for (const one of map.tiles.querySelectorAll(".tile")) {
    const [a, b] = middle(one);
    const ahead = (a - x) * dx + (b - y) * dy;
    const aside = Math.abs((a - x) * dy) + Math.abs((b - y) * dx);
    if (one !== from && ahead > 1 && ahead + 2 * aside < least) [best, least] = [one, ahead + 2 * aside];
  }
  return best;
}

map.root.addEventListener("keydown", (event) => {
  if (event.key === "Escape" || (event.key === "Backspace" && event.target.closest(".tiles"))) {
    if (map.path.length) event.preventDefault();
    up();
    return;
  }
  const tile = event.target.closest(".tile");
  const tiles = [...map.tiles.querySelectorAll(".tile")];
  if (!tile) return;
  const next = event.key === "Home" ? tiles[0] : event.key === "End" ? tiles.at(-1)
    : TOWARDS[event.key] && neighbour(tile, TOWARDS[event.key]);
  if (event.key in TOWARDS || event.key === "Home" || event.key === "End") event.preventDefault();
  if (next) step(next);
});

map.tiles.addEventListener("mouseleave", () => read(open(), map.path.length - 1));

fill(map.root, map.crumbs, map.tiles, map.readout, map.list);
draw();

// Tiles keep their shares of any width; their shapes are made anew for one that differs much.
let drawnFor = map.tiles.clientWidth;
new ResizeObserver(() => {
  const width = map.tiles.clientWidth;
  if (!width || Math.abs(width - drawnFor) < 40) return;
  drawnFor = width;
  const focused = document.activeElement?.closest?.(".tile")?.dataset.index;
  draw();
  if (focused !== undefined) go(map.path, Number(focused));
}).observe(map.tiles);
