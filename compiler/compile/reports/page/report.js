"use strict";
// Rows, chart and labels of a report. Texts of rows come into the page as text nodes alone.
const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (key === "class") made.className = value;
    else if (key === "on") for (const [kind, run] of Object.entries(value)) made.addEventListener(kind, run);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
const many = (number) => number.toLocaleString("en-US");
const percent = (score) => (100 * score).toFixed(score === 0 || score === 1 ? 0 : 1);
const signed = (value, digits) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);

// Light or dark -------------------------------------------------------------------------------------------------
function stored(value) {
  try {
    if (value === undefined) return localStorage.getItem("dspec-theme");
    localStorage.setItem("dspec-theme", value);
  } catch { /* a page of a file may have no storage */ }
  return null;
}
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  stored(theme);
}
if (["light", "dark"].includes(stored())) document.documentElement.dataset.theme = stored();
function otherTheme() {
  const now = document.documentElement.dataset.theme;
  const dark = now ? now === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(dark ? "light" : "dark");
}

// Rows ----------------------------------------------------------------------------------------------------------
// A row is [number, inputs, golds, before, after]; a side is [score, outputs, reason, calls, tokens, cost, marks].
const NUMBER = 0, INPUTS = 1, GOLDS = 2, BEFORE = 3, AFTER = 4;
const SCORE = 0, OUTPUTS = 1, REASON = 2, CALLS = 3, TOKENS = 4, COST = 5, MARKS = 6;
const FILTERS = [
  ["all", "All", () => true],
  ["fell", "Fell", (row) => change(row) < 0],
  ["rose", "Rose", (row) => change(row) > 0],
  ["flipped", "Flipped", (row) => change(row) !== 0 && change(row) !== null],
  ["wrong", "Below 100", (row) => row[AFTER] !== null && row[AFTER][SCORE] < 1],
  ["failed", "Failed", (row) => [row[BEFORE], row[AFTER]].some((side) => side !== null && side[MARKS] !== "")],
  ["unknown", "Not kept", (row) => row[AFTER] === null || (hasBefore() && row[BEFORE] === null)],
];
const state = { table: 0, filter: "all", label: "", cell: null, query: "", sort: "number", down: false, rows: [], at: 0, side: AFTER };
const table = () => DATA.tables[state.table];
const hasBefore = () => table().before !== "";

function change(row) {
  if (row[BEFORE] === null || row[AFTER] === null) return null;
  return row[AFTER][SCORE] - row[BEFORE][SCORE];
}
const goldOf = (row) => (table().gold < 0 ? "" : row[GOLDS][table().gold]);
const saidBy = (side) => (side === null || side[OUTPUTS] === null || table().output < 0 ? null : side[OUTPUTS][table().output]);
const inputText = (row) => (row[INPUTS].length === 1 ? row[INPUTS][0] : row[INPUTS].map((value, place) => `${table().inputs[place]}: ${value}`).join("  ·  "));
const reasonOf = (row) => (row[AFTER] || row[BEFORE] || [0, null, ""])[REASON];

const haystacks = new WeakMap();
function haystack(row) {
  let text = haystacks.get(row);
  if (text === undefined) {
    const sides = [row[BEFORE], row[AFTER]].filter((side) => side !== null);
    text = [String(row[NUMBER]), ...row[INPUTS], ...row[GOLDS], ...sides.flatMap((side) => [...(side[OUTPUTS] || []), side[REASON]])].join("\n").toLowerCase();
    haystacks.set(row, text);
  }
  return text;
}
const KEYS = {
  number: (row) => row[NUMBER],
  input: inputText,
  gold: goldOf,
  was: (row) => saidBy(row[BEFORE]) ?? "",
  now: (row) => saidBy(row[AFTER]) ?? "",
  move: (row) => change(row) ?? (row[AFTER] ? row[AFTER][SCORE] : -2),
  reason: reasonOf,
};

function refresh(keep) {
  const test = FILTERS.find(([name]) => name === state.filter)[2];
  const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  const was = keep ? state.rows[state.at] : null;
  let rows = table().rows.filter((row) =>
    test(row)
    && (state.label === "" || goldOf(row) === state.label)
    && (state.cell === null || (goldOf(row) === state.cell[0] && (saidBy(row[state.side]) ?? "") === state.cell[1]))
    && words.every((word) => haystack(row).includes(word)));
  const key = KEYS[state.sort], way = state.down ? -1 : 1;
  rows = rows.map((row) => [key(row), row]).sort((a, b) => {
    const order = typeof a[0] === "number" ? a[0] - b[0] : a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
    return way * order || a[1][NUMBER] - b[1][NUMBER];
  }).map((pair) => pair[1]);
  state.rows = rows;
  state.at = Math.max(0, was ? rows.indexOf(was) : 0);
  const all = table().rows.length;
  const those = state.cell === null ? "" : `: ${state.cell[0]} answered as ${state.cell[1] || "nothing"}, ${state.side === BEFORE ? "before" : "after"}`;
  $("count").textContent = (rows.length === all ? `${many(all)} rows` : `${many(rows.length)} of ${many(all)} rows`) + those;
  for (const button of $("filters").children) button.setAttribute("aria-pressed", button.dataset.filter === state.filter);
  for (const button of $("head").children) {
    if (button.dataset.sort === state.sort) button.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    else button.removeAttribute("aria-sort");
  }
  $("grid").setAttribute("aria-rowcount", rows.length + 1);
  if (!keep) $("grid").scrollTop = 0;
  drawn = [-1, -1];
  drawRows();
}

const FEW = 14;
let drawn = [-1, -1];
function rowHeight() {
  return parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row"));
}
function drawRows() {
  const grid = $("grid"), body = $("body"), height = rowHeight();
  const few = state.rows.length <= FEW;
  grid.classList.toggle("few", few);
  body.style.height = few ? "auto" : `${state.rows.length * height}px`;
  const first = few ? 0 : Math.max(0, Math.floor((grid.scrollTop - 34) / height) - 6);
  const last = few ? state.rows.length : Math.min(state.rows.length, first + Math.ceil(grid.clientHeight / height) + 14);
  if (first === drawn[0] && last === drawn[1]) return;
  drawn = [first, last];
  const lines = [];
  for (let place = first; place < last; place++) lines.push(line(state.rows[place], place, few ? null : place * height));
  if (!state.rows.length) lines.push(el("div", { class: "empty" }, "No row is like that."));
  body.replaceChildren(...lines);
}
function cell(kind, text, extra) {
  const short = text.length > 400 ? text.slice(0, 400) + "…" : text;
  return el("div", { class: `cell ${kind} ${extra || ""}`, role: "gridcell", dir: "auto" }, short.replace(/\s+/g, " "));
}
function answerCell(kind, side, gold) {
  if (side === null) return el("div", { class: `cell ${kind}`, role: "gridcell" }, el("span", { class: "none" }, kind === "was" && !hasBefore() ? "" : "not kept"));
  const said = saidBy(side);
  if (said === null) return el("div", { class: `cell ${kind}`, role: "gridcell" }, el("span", { class: "badge bad" }, "failed"));
  const judged = table().labels && table().gold >= 0;
  return cell(kind, said, judged ? (said === gold ? "hit" : "off") : "");
}
function line(row, place, top) {
  const moved = change(row), gold = goldOf(row);
  const made = el("div", {
    class: `line ${moved > 0 ? "rose" : moved < 0 ? "fell" : ""}`, role: "row", id: `r${place}`,
    "aria-rowindex": place + 2, "aria-selected": place === state.at ? "true" : "false",
    on: { click: () => { select(place); openRow(); } },
  },
  cell("id", String(row[NUMBER])),
  cell("input", inputText(row)),
  cell("gold", gold),
  answerCell("was", row[BEFORE], gold),
  answerCell("now", row[AFTER], gold),
  cell("move", moves(row)),
  cell("reason", reasonOf(row)));
  if (top !== null) made.style.top = `${top}px`;
  return made;
}
function moves(row) {
  if (row[AFTER] === null && row[BEFORE] === null) return "–";
  if (row[AFTER] === null || row[BEFORE] === null) return percent((row[AFTER] || row[BEFORE])[SCORE]);
  const [old, now] = [percent(row[BEFORE][SCORE]), percent(row[AFTER][SCORE])];
  return old === now ? now : `${old} → ${now}`;
}
function select(place) {
  if (!state.rows.length) return;
  state.at = Math.min(Math.max(place, 0), state.rows.length - 1);
  const grid = $("grid"), height = rowHeight();
  if (!grid.classList.contains("few")) {
    const head = $("head").offsetHeight, top = state.at * height;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + height + head > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + height + head - grid.clientHeight;
  }
  drawn = [-1, -1];
  drawRows();
  grid.setAttribute("aria-activedescendant", `r${state.at}`);
  if ($("row").open) showRow();
}

// One row -------------------------------------------------------------------------------------------------------
function openRow() {
  if (!state.rows.length) return;
  showRow();
  if (!$("row").open) $("row").showModal();
}
function field(name, text, extra) {
  return el("div", { class: "field" }, el("div", { class: "name" }, name), el("div", { class: `value ${extra || ""}`, dir: "auto" }, text));
}
const MARK_WORDS = { f: ["bad", "failed"], r: ["warn", "guessed at"], c: ["warn", "cut off"], u: ["warn", "unreadable"] };
function sideBox(name, side, row, key) {
  const box = el("div", { class: "side" });
  box.append(el("h3", {}, el("span", {}, name), side === null ? null : el("span", { class: "badge" }, percent(side[SCORE]))));
  if (side === null) {
    box.append(el("p", { class: "none" }, "No run is kept here."));
    return box;
  }
  for (const mark of side[MARKS]) box.append(el("span", { class: `badge ${MARK_WORDS[mark][0]}` }, MARK_WORDS[mark][1]), " ");
  table().outputs.forEach((output, place) => {
    if (side[OUTPUTS] === null) return;
    const judged = table().labels && place === table().output;
    box.append(field(output, side[OUTPUTS][place], judged ? (side[OUTPUTS][place] === goldOf(row) ? "hit" : "off") : ""));
  });
  if (side[REASON]) box.append(field(side[MARKS].includes("f") ? "why it failed" : "what the metric says", side[REASON]));
  box.append(el("p", { class: "muted" }, `${many(side[CALLS])} ${side[CALLS] === 1 ? "call" : "calls"}, ${many(side[TOKENS])} tokens${side[COST] ? ", " + side[COST] : ""}`));
  const place = DATA.troubles.findIndex((one) => one.table === state.table && table().rows[one.row] === row && one.side === key);
  if (place >= 0) {
    box.append(el("button", { type: "button", on: { click: () => {
      $("row").close();
      const shown = $(`trouble-${place}`);
      shown.open = true;
      shown.scrollIntoView();
    } } }, "Answers as they came"));
  }
  return box;
}
function showRow() {
  const row = state.rows[state.at], moved = change(row);
  const go = (by) => () => select(state.at + by);
  const top = el("div", { class: "row-top" },
    el("strong", {}, `${table().title}, row ${row[NUMBER]}`),
    moved === null || moved === 0 ? null : el("span", { class: `badge ${moved > 0 ? "good" : "bad"}` }, moved > 0 ? "rose" : "fell"),
    el("span", { class: "muted" }, `${many(state.at + 1)} of ${many(state.rows.length)}`),
    el("button", { type: "button", "aria-label": "The row before", on: { click: go(-1) } }, "↑"),
    el("button", { type: "button", "aria-label": "The next row", on: { click: go(1) } }, "↓"),
    el("button", { type: "button", "aria-label": "Close", on: { click: () => $("row").close() } }, "✕"));
  const body = el("div", { class: "row-body" });
  table().inputs.forEach((name, place) => body.append(field(name, row[INPUTS][place])));
  table().golds.forEach((name, place) => body.append(field(`${name}, as the data has it`, row[GOLDS][place])));
  const sides = el("div", { class: "sides" });
  if (hasBefore()) sides.append(sideBox(`before: ${table().before}`, row[BEFORE], row, "before"));
  sides.append(sideBox(hasBefore() ? `after: ${table().after}` : table().after, row[AFTER], row, "after"));
  body.append(sides);
  $("row-content").replaceChildren(top, body);
  $("row").scrollTop = 0;
}

// Which rows ----------------------------------------------------------------------------------------------------
function openTable(place) {
  Object.assign(state, { table: place, filter: "all", label: "", cell: null, query: "", sort: "number", down: false });
  $("search").value = "";
  [...$("tabs").children].forEach((tab, at) => tab.setAttribute("aria-selected", at === place ? "true" : "false"));
  $("tabs").hidden = DATA.tables.length < 2;
  const now = table();
  $("about").textContent = `${now.about}, by ${now.metric}`;
  const columns = [["number", "#"], ["input", now.inputs.length === 1 ? now.inputs[0] : "inputs"], ["gold", now.gold < 0 ? "" : now.golds[now.gold]], ["was", hasBefore() ? "before" : ""], ["now", hasBefore() ? "after" : now.outputs[now.output] || "answer"], ["move", "score"], ["reason", "reason"]];
  $("head").replaceChildren(...columns.map(([key, words]) => el("button", { type: "button", role: "columnheader", "data-sort": key, disabled: words === "", on: { click: () => sortBy(key) } }, words)));
  const filters = FILTERS.map(([name, words, test]) => [name, words, now.rows.filter(test).length]).filter(([name, , count]) => count || name === "all").filter(([name]) => hasBefore() || !["fell", "rose", "flipped"].includes(name));
  $("filters").replaceChildren(...filters.map(([name, words, count]) => el("button", { type: "button", "data-filter": name, "aria-pressed": "false", on: { click: () => setFilter(name) } }, words, el("span", { class: "n" }, many(count)))));
  const label = $("label");
  label.hidden = !now.labels;
  if (now.labels) label.replaceChildren(el("option", { value: "" }, `any ${now.golds[now.gold]}`), ...now.labels.map((value) => el("option", { value }, value)));
  drawLabels();
  refresh();
}
function setFilter(name) {
  state.filter = name;
  state.cell = null;
  refresh();
}
function nextFilter(by) {
  const names = [...$("filters").children].map((button) => button.dataset.filter);
  setFilter(names[(names.indexOf(state.filter) + by + names.length) % names.length]);
}
function sortBy(key) {
  if (state.sort === key) state.down = !state.down;
  else Object.assign(state, { sort: key, down: false });
  refresh(true);
}

// Labels --------------------------------------------------------------------------------------------------------
function drawLabels() {
  const now = table();
  $("labels").hidden = $("to-labels").hidden = !now.labels;
  if (!now.labels) return;
  $("labels-about").textContent = `${now.golds[now.gold]} as the data has it, and ${now.outputs[now.output]} as it was answered, in ${now.title}. A number shows its rows.`;
  const counts = { [BEFORE]: counted(BEFORE), [AFTER]: counted(AFTER) };
  drawConfusion(counts);
  drawPerLabel(counts);
}
function counted(side) {
  const found = new Map();
  for (const row of table().rows) {
    if (row[side] === null) continue;
    const key = JSON.stringify([goldOf(row), saidBy(row[side]) ?? ""]);
    found.set(key, (found.get(key) || 0) + 1);
  }
  return found;
}
const countOf = (counts, gold, said) => counts.get(JSON.stringify([gold, said])) || 0;
function drawConfusion(counts) {
  const now = table(), used = counts[state.side];
  const said = [...now.labels], golds = [...now.labels];
  for (const key of used.keys()) {
    const [gold, other] = JSON.parse(key);
    if (!said.includes(other)) said.push(other);
    if (!golds.includes(gold)) golds.push(gold);
  }
  const name = (label) => (label === "" ? "(no answer)" : label);
  const press = (side) => () => { state.side = side; drawLabels(); };
  const caption = el("caption", {}, "Confusion", hasBefore() ? el("span", { class: "segments" },
    el("button", { type: "button", "aria-pressed": String(state.side === BEFORE), on: { click: press(BEFORE) } }, "before"),
    el("button", { type: "button", "aria-pressed": String(state.side === AFTER), on: { click: press(AFTER) } }, "after")) : null);
  const head = el("tr", {}, el("th", {}, "data ↓   answered →"), ...said.map((label) => el("th", { scope: "col" }, el("span", { class: "turn" }, name(label)))), el("th", { scope: "col" }, "rows"));
  const lines = golds.map((gold) => {
    const total = said.reduce((sum, label) => sum + countOf(used, gold, label), 0);
    return el("tr", {}, el("th", { scope: "row", title: gold }, gold), ...said.map((label) => {
      const count = countOf(used, gold, label);
      if (!count) return el("td", { class: "zero" }, "·");
      const kind = gold === label ? "d1" : count / total >= 0.25 ? "c2" : "c1";
      return el("td", { class: kind }, el("button", { type: "button", title: `${gold} answered as ${name(label)}`, on: { click: () => showCell(gold, label) } }, many(count)));
    }), el("td", { class: "total" }, many(total)));
  });
  $("confusion").replaceChildren(el("table", {}, caption, el("thead", {}, head), el("tbody", {}, ...lines)));
}
function showCell(gold, said) {
  Object.assign(state, { filter: "all", label: "", query: "", cell: [gold, said] });
  $("label").value = $("search").value = "";
  refresh();
  $("rows").scrollIntoView();
}
function quality(counts, label) {
  const rows = table().labels;
  let gold = 0, said = 0;
  for (const [key, count] of counts) {
    const [one, other] = JSON.parse(key);
    if (one === label) gold += count;
    if (other === label) said += count;
  }
  const hits = countOf(counts, label, label);
  const precision = said ? hits / said : null, recall = gold ? hits / gold : null;
  const f1 = gold + said ? (2 * hits) / (gold + said) : null;
  return { rows: gold, precision, recall, f1 };
}
function drawPerLabel(counts) {
  const show = (value) => (value === null ? "–" : (100 * value).toFixed(0));
  const lines = table().labels.map((label) => {
    const old = quality(counts[BEFORE], label), now = quality(counts[AFTER], label);
    const delta = hasBefore() && old.f1 !== null && now.f1 !== null ? 100 * (now.f1 - old.f1) : null;
    return el("tr", {}, el("td", { dir: "auto" }, label), el("td", { class: "num" }, many(Math.max(old.rows, now.rows))), ...["precision", "recall", "f1"].map((what) => el("td", { class: "num" }, show(now[what]))),
      hasBefore() ? el("td", { class: `num delta ${delta > 0.5 ? "up" : delta < -0.5 ? "down" : ""}` }, delta === null ? "–" : signed(delta, 0)) : null);
  });
  $("per-label").replaceChildren(el("table", {}, el("caption", {}, hasBefore() ? "Per label, after" : "Per label"), el("thead", {}, el("tr", {}, ...["label", "rows", "precision", "recall", "F1"].map((name, place) => el("th", { class: place ? "num" : "" }, name)), hasBefore() ? el("th", { class: "num" }, "since before") : null)), el("tbody", {}, ...lines)));
}

// Chart ---------------------------------------------------------------------------------------------------------
const SVG = "http://www.w3.org/2000/svg";
let axis = "trials";
function draw(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
function along(trial) {
  if (axis === "trials") return trial.number;
  return axis === "calls" ? trial.spent.calls : trial.spent.cost / 1e12;
}
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * size).find((one) => one >= rough * 0.999);
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-6; value += step) found.push(Math.round(value * 1e9) / 1e9);
  return found;
}
function axisText(value) {
  if (axis !== "money") return Number.isInteger(value) ? many(value) : "";
  return "$" + (value === 0 ? "0" : value >= 1 ? value.toFixed(2) : Number(value.toPrecision(2)).toString());
}
function drawChart() {
  const place = $("chart"), trials = DATA.trials;
  if (!place || !trials.length || !place.clientWidth) return;
  const width = place.clientWidth - 16, height = place.clientHeight - 4;
  const left = 38, right = 12, top = 12, bottom = 26;
  const start = DATA.start ? DATA.start.score : null;
  const values = trials.flatMap((one) => [one.score, one.low ?? one.score, one.high ?? one.score]).concat(start === null ? [] : [start]);
  let low = Math.min(...values), high = Math.max(...values);
  const room = Math.max(0.02, (high - low) * 0.08);
  low = Math.max(0, low - room);
  high = Math.min(1, high + room);
  const from = axis === "trials" ? 0.5 : 0, to = axis === "trials" ? trials.length + 0.5 : Math.max(...trials.map(along)) || 1;
  const x = (value) => left + ((value - from) / (to - from)) * (width - left - right);
  const y = (value) => top + (1 - (value - low) / (high - low)) * (height - top - bottom);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  for (const value of ticks(100 * low, 100 * high, 5)) {
    svg.append(draw("line", { class: "rule", x1: left, x2: width - right, y1: y(value / 100), y2: y(value / 100) }));
    svg.append(draw("text", { x: left - 8, y: y(value / 100) + 4, "text-anchor": "end" }, Number(value.toFixed(2)).toString()));
  }
  for (const value of ticks(axis === "trials" ? 1 : 0, axis === "trials" ? trials.length : to, Math.max(2, Math.floor(width / 110)))) {
    svg.append(draw("text", { x: x(value), y: height - 6, "text-anchor": value === 0 ? "start" : "middle" }, axisText(value)));
  }
  if (start !== null) svg.append(draw("line", { class: "base", x1: left, x2: width - right, y1: y(start), y2: y(start) }));
  const ordered = axis === "trials" ? trials : [...trials].sort((a, b) => along(a) - along(b));
  let path = "", best = start ?? ordered[0].best;
  path = `M${x(from)},${y(best)}`;
  for (const one of ordered) {
    path += `H${x(along(one))}`;
    if (one.best > best) { best = one.best; path += `V${y(best)}`; }
  }
  svg.append(draw("path", { class: "best", d: path + `H${width - right}` }));
  for (const one of trials) {
    if (one.low !== null && trials.length <= 60) svg.append(draw("line", { class: "bar", x1: x(along(one)), x2: x(along(one)), y1: y(one.low), y2: y(one.high) }));
  }
  for (const one of trials) {
    const point = draw("circle", { class: `point ${one.taken ? "taken" : ""}`, cx: x(along(one)), cy: y(one.score), r: trials.length > 120 ? 2.5 : 4 });
    point.append(draw("title", {}, `${one.number}. ${one.step}, ${one.label}: ${percent(one.score)}`));
    svg.append(point);
  }
  place.replaceChildren(svg);
}

// Keys ----------------------------------------------------------------------------------------------------------
function typed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const writing = event.target.matches("input, select, textarea");
  if (writing) {
    if (event.key === "Escape" || (event.key === "Enter" && event.target.id === "search")) { event.target.blur(); $("grid").focus(); event.preventDefault(); }
    return;
  }
  if ($("help").open) return;
  const has = DATA.tables.length > 0;
  const page = Math.max(1, Math.floor($("grid")?.clientHeight / rowHeight()) - 2);
  const runs = {
    ArrowDown: () => select(state.at + 1), j: () => select(state.at + 1),
    ArrowUp: () => select(state.at - 1), k: () => select(state.at - 1),
    PageDown: () => select(state.at + page), PageUp: () => select(state.at - page),
    Home: () => select(0), End: () => select(state.rows.length - 1),
    Enter: openRow,
    f: () => nextFilter(1), F: () => nextFilter(-1),
    "/": () => { if ($("row").open) $("row").close(); $("search").focus(); $("search").select(); },
    "[": () => openTable((state.table + DATA.tables.length - 1) % DATA.tables.length),
    "]": () => openTable((state.table + 1) % DATA.tables.length),
  };
  const always = { "?": () => $("help").showModal(), t: otherTheme };
  if (always[event.key]) { always[event.key](); event.preventDefault(); return; }
  if (!has || !runs[event.key]) return;
  // Buttons and folds keep their own Enter; the page keeps its arrows while nobody is at the rows.
  if (event.key === "Enter" && event.target.matches("button, summary, a")) return;
  const scrolls = ["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End"].includes(event.key);
  if (scrolls && !$("row").open && !$("grid").contains(document.activeElement) && document.activeElement !== document.body) return;
  if (["PageDown", "PageUp", "Home", "End"].includes(event.key) && document.activeElement === document.body) return;
  runs[event.key]();
  if (!$("row").open && event.key !== "/" && document.activeElement === document.body) $("grid").focus({ preventScroll: true });
  event.preventDefault();
}

addEventListener("keydown", typed);
$("theme").addEventListener("click", otherTheme);
$("help-button").addEventListener("click", () => $("help").showModal());
$("row").addEventListener("click", (event) => { if (event.target === $("row")) $("row").close(); });
if (DATA.tables.length) {
  $("grid").addEventListener("scroll", drawRows, { passive: true });
  $("search").addEventListener("input", (event) => { state.query = event.target.value; refresh(); });
  $("label").addEventListener("change", (event) => { state.label = event.target.value; state.cell = null; refresh(); });
  for (const tab of $("tabs").children) tab.addEventListener("click", () => openTable(Number(tab.dataset.table)));
  openTable(0);
}
const priced = DATA.trials.some((one) => one.spent.cost > 0);
for (const button of document.querySelectorAll("[data-axis]")) {
  if (button.dataset.axis === "money" && !priced) { button.remove(); continue; }
  button.addEventListener("click", () => {
    axis = button.dataset.axis;
    for (const other of document.querySelectorAll("[data-axis]")) other.setAttribute("aria-pressed", other === button);
    drawChart();
  });
}
let waiting = 0;
addEventListener("resize", () => {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => { drawChart(); drawn = [-1, -1]; if (DATA.tables.length) drawRows(); });
});
drawChart();
