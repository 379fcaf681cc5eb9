// Records to read: a list that is searched and filtered, and the chosen one with how it came about.

const STATES = {
  accepted: "accepted",
  "held out": "in the test set",
  rejected: "rejected",
  dropped: "dropped by glan curate",
  question: "not answered yet",
};
const [STAGE, ASK, ATTEMPT, END, PROMPT, CACHED, REPLY, THOUGHT, COST, SECONDS, MODEL, SHARED] = [...Array(12).keys()];

const PAGE = 40; // rows of the list until more are asked for

const rows = DATA.rows.map((row) => ({ ...row, words: wordsOf(row) }));
const browser = {
  root: document.getElementById("browser"),
  list: el("ul", { class: "rows", "aria-label": "Records" }),
  count: el("p", { class: "small", role: "status" }),
  record: el("article", { class: "record", tabindex: "-1", "aria-label": "The chosen record" }),
  search: el("input", { type: "search", id: "search", placeholder: "Words in any of its texts", oninput: () => choose() }),
  filters: {},
  chosen: null,
};
const narrow = matchMedia("screen and (max-width: 820px)");

function whole(text) {
  return Array.isArray(text) ? text[0] : text || "";
}

function wordsOf(row) {
  const texts = [row.id, whole(row.question), whole(row.answer), whole(row.raw), row.discipline, row.field, row.subject, row.reason, row.detail];
  return [...texts, ...(row.concepts || []), ...(row.sessions || [])].join("\n").toLowerCase();
}

// --- filters: one for each key that has several values

const FILTERS = [
  ["Outcome", (row) => (row.reason ? `${STATES[row.state] || row.state}: ${row.reason.replaceAll("_", " ")}` : STATES[row.state] || row.state)],
  ["Field", (row) => row.field],
  ["Discipline", (row) => row.discipline],
  ["Level", (row) => row.level],
  ["Strategy", (row) => row.strategy],
  ["Language", (row) => row.language],
];

function filter([name, value]) {
  const counts = new Map();
  for (const row of rows) counts.set(value(row) || "", (counts.get(value(row) || "") || 0) + 1);
  const values = [...counts.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  if (values.length < 2) return null;
  const id = `filter-${name.toLowerCase()}`;
  const select = el(
    "select",
    { id, onchange: () => choose() },
    el("option", { value: "*" }, "all"),
    values.map((one, at) => el("option", { value: at }, `${one || "none"} (${n(counts.get(one))})`)),
  );
  browser.filters[name] = { select, fits: (row) => select.value === "*" || (value(row) || "") === values[Number(select.value)] };
  return el("label", { for: id }, el("span", {}, name), select);
}

function fitting() {
  const terms = browser.search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const filters = Object.values(browser.filters);
  return rows.filter((row) => terms.every((term) => row.words.includes(term)) && filters.every((one) => one.fits(row)));
}

function clear() {
  browser.search.value = "";
  for (const { select } of Object.values(browser.filters)) select.value = "*";
  choose();
  browser.search.focus();
}

// --- the list

function choose() {
  const some = fitting();
  browser.count.textContent = `${n(some.length)} of ${units(rows.length, "record")}`;
  list(some, PAGE);
  if (!some.length) {
    fill(browser.list, el("li", { class: "empty" }, "No record fits. ", el("button", { type: "button", class: "link", onclick: clear }, "Clear the search and the filters")));
    show(null);
  } else if (!some.includes(browser.chosen)) show(narrow.matches ? null : some[0]);
  else show(browser.chosen);
}

function list(some, most) {
  const left = some.length - most;
  const all = () => {
    list(some, Infinity);
    show(browser.chosen);
    rowButtons()[most].focus();
  };
  const more = left > 0 && el("li", {}, el("button", { type: "button", class: "link more", onclick: all }, `The other ${n(left)}`));
  fill(browser.list, some.slice(0, most).map(listed), more);
}

function rowButtons() {
  return [...browser.list.querySelectorAll(".row")];
}

function listed(row) {
  const text = whole(row.question) || whole(row.raw) || row.subject || row.id;
  const button = el(
    "button",
    { type: "button", class: "row", "data-id": row.id, onclick: () => pick(row) },
    el("span", { class: "line", dir: "auto" }, text.slice(0, 240)),
    el("span", { class: "meta" }, foreign(row.discipline || ""), row.level && ` · ${row.level}`, row.strategy && ` · ${row.strategy}`,
      row.reason && el("span", { class: "tag" }, row.reason.replaceAll("_", " "))),
  );
  return el("li", {}, button);
}

function pick(row) {
  const again = browser.chosen === row && narrow.matches;
  show(again ? null : row);
}

function show(row) {
  browser.chosen = row;
  let button = null;
  for (const one of rowButtons()) {
    const is = row !== null && one.dataset.id === row.id;
    one.setAttribute("aria-expanded", is);
    if (is) button = one;
  }
  fill(browser.record, row ? recordParts(row) : el("p", { class: "empty" }, rows.length ? "Choose a record." : "No records yet."));
  if (narrow.matches && button) button.after(browser.record);
  else if (!narrow.matches) browser.panes.append(browser.record);
  else browser.record.remove();
}

browser.list.addEventListener("keydown", (event) => {
  const buttons = rowButtons();
  const at = buttons.indexOf(event.target);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (event.key === "Escape" && narrow.matches && browser.chosen) {
    const { id } = browser.chosen;
    show(null);
    buttons.find((one) => one.dataset.id === id)?.focus();
  }
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  const next = buttons[to];
  if (!next) return;
  next.focus();
  if (!narrow.matches) show(rows.find((row) => row.id === next.dataset.id));
});

// --- one record

function recordParts(row) {
  return [
    el("p", { class: "trail" }, trail(row)),
    outcome(row),
    text("Question", row.question),
    text("Answer", row.answer),
    text("The reply as it came", row.raw),
    el("h3", {}, "How it came about"),
    facts(row),
    callTable(row),
  ];
}

function trail(row) {
  const steps = [row.field, row.discipline, row.subject].filter(Boolean);
  return steps.flatMap((name, at) => [at ? el("span", { class: "sep" }, " › ") : null, foreign(name)]);
}

function outcome(row) {
  if (row.state === "accepted") return null;
  const words = [STATES[row.state] || row.state, row.reason && `: ${row.reason.replaceAll("_", " ")}`, row.stage && `, at the ${row.stage}`];
  return el("p", { class: "outcome" }, words, row.detail && [". ", foreign(row.detail)]);
}

function text(name, value) {
  if (!value) return null;
  const [shown, left] = Array.isArray(value) ? value : [value, 0];
  return [
    el("h3", {}, name),
    el("div", { class: "text", dir: "auto" }, paragraphs(shown), left ? "…" : null),
    left ? el("p", { class: "small" }, `${n(left)} characters more are in the run.`) : null,
  ];
}

// The text as it is, with what stands between ``` fences set as code.
function paragraphs(shown) {
  return shown.split(/^```[^\n`]*\n([^]*?)\n```[ \t]*$/m).map((part, at) => (at % 2 ? el("pre", {}, el("code", {}, part)) : part.replace(/^\n|\n$/g, "")));
}

function facts(row) {
  const chips = (names) => el("ul", { class: "chips" }, names.map((name) => el("li", {}, foreign(name))));
  const known = [
    ["Discipline", row.discipline && foreign(row.discipline)],
    ["Subject", row.subject && foreign(row.subject)],
    ["Level", row.level],
    ["Subtopics", row.subtopics && chips(row.subtopics)],
    ["Class sessions", row.sessions && chips(row.sessions)],
    ["Key concepts", row.concepts && chips(row.concepts)],
    ["Strategy", row.strategy],
    ["Language", row.language && foreign(row.language)],
    ["Written by", row.models && foreign(row.models.join(", "))],
    ["Judged", row.score && `${row.score} of 5`],
    ["Id", el("code", {}, row.id)],
  ];
  return el("dl", { class: "lineage" }, known.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

const money = (dollars) => (dollars === 0 ? "$0" : `$${dollars.toPrecision(3)}`);
const amount = (value) => (value == null ? "–" : n(value));

function callTable(row) {
  if (!row.calls) return el("p", { class: "empty" }, "No call tells of it: its question came from a file.");
  const own = row.cost != null ? ` Its own calls cost ${money(row.cost)}.` : " What its own calls cost is not known.";
  const shared = row.calls.some((call) => call[SHARED]);
  const models = new Set(row.calls.map((call) => call[MODEL])).size > 1;
  const head = ["call", "asked", "attempt", "ended", "prompt", "cached", "reply", "thoughts", "cost", "seconds"];
  return [
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Calls" },
      el("table", { class: "calls" },
        el("thead", {}, el("tr", {}, head.map((name, at) => el("th", { class: at === 0 || at === 3 ? null : "num" }, name)), models && el("th", {}, "model"))),
        el("tbody", {}, row.calls.map((call) => callRow(call, models))))),
    el("p", { class: "small" }, shared ? "Calls in grey served other records too." : null, own,
      row.more_calls ? ` ${n(row.more_calls)} earlier calls are not shown.` : null),
  ];
}

function callRow(call, models) {
  const number = (at) => el("td", { class: "num" }, amount(call[at]));
  return el(
    "tr",
    { class: call[SHARED] ? "shared" : null },
    el("th", { scope: "row" }, call[STAGE]),
    el("td", { class: "num" }, n(call[ASK] + 1)),
    el("td", { class: "num" }, n(call[ATTEMPT] + 1)),
    el("td", {}, call[END] || "–"),
    number(PROMPT), number(CACHED), number(REPLY), number(THOUGHT),
    el("td", { class: "num" }, call[COST] == null ? "–" : money(call[COST])),
    el("td", { class: "num" }, call[SECONDS] == null ? "–" : n(call[SECONDS])),
    models && el("td", { class: "model" }, foreign(DATA.models[call[MODEL]] || "")),
  );
}

// --- put together

if (rows.length) {
  const controls = el("div", { class: "controls", role: "search" },
    el("label", { for: "search", class: "wide" }, el("span", {}, "Search"), browser.search), FILTERS.map(filter));
  browser.panes = el("div", { class: "panes" }, el("div", { class: "pane" }, browser.count, browser.list));
  fill(browser.root, controls, browser.panes);
  choose();
  narrow.addEventListener("change", choose);
} else {
  fill(browser.root, el("p", { class: "empty" }, "No records yet. Once there are some, up to 200 are shown here."));
}
