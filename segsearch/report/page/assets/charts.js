"use strict";
// Draws what segsearch/report/page/blocks.py describes. Names come from files of anybody: they are set as text, never as markup.
const page = JSON.parse(document.getElementById("data").textContent);
const WIDE = 4; // from this ratio between slowest and fastest on, latency is drawn on a log scale
const MOST_ROWS = 200; // of a table, until somebody asks for all
const MARGIN = { top: 26, right: 18, bottom: 42, left: 46 };

/** Make an element with attributes, listeners (onclick ...), and what it holds: elements, or text. */
function make(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...inside.filter((each) => each != null));
  return element;
}

/** Write a number as its column says: percent of a fraction, count with K, M, G, or so many digits. */
function shown(value, how) {
  if (value == null) return "";
  if (typeof value !== "number" || how === "text") return String(value);
  if (how === "percent") return `${(100 * value).toFixed(1)} %`;
  if (how !== "count") return value.toFixed(how);
  const [factor, letter] = [[1e9, "G"], [1e6, "M"], [1e3, "K"]].find(([least]) => value >= least) ?? [1, ""];
  return Number((value / factor).toPrecision(3)) + letter;
}

/** Let a chart be drawn at the width that there is, and again where that changes. */
function responsive(holder, draw) {
  let width = 0;
  new ResizeObserver(() => {
    if (holder.clientWidth && holder.clientWidth !== width) draw((width = holder.clientWidth));
  }).observe(holder);
}

/** Frame a chart: its caption, and the same figures as a table for who cannot see or point. */
function charted(caption, draw, rows) {
  const holder = make("div", { class: "chart" });
  const inside = make("details", {}, make("summary", {}, "the same as a table"));
  inside.addEventListener("toggle", () => inside.append(rows()), { once: true });
  responsive(holder, (width) => holder.replaceChildren(draw(width)));
  return make("figure", {}, make("figcaption", {}, caption), holder, inside);
}

/** Give ticks 1, 2, 5, 10 of a log scale; fewer where there is little room. */
function logTicks([low, high], width) {
  const steps = width / Math.log10(high / low) > 160 ? [1, 2, 5] : [1];
  const powers = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
  const ticks = powers.flatMap((power) => steps.map((step) => Number(`${step}e${power}`)));
  return ticks.filter((tick) => low <= tick && tick <= high);
}

/** Describe an axis for the chart library; a log one where the values are far apart. */
function axis(label, values, width, { log = d3.max(values) > WIDE * d3.min(values), room = 0.06 } = {}) {
  const [low, high] = values.length ? d3.extent(values) : [1, 10];
  if (log) {
    const margin = Math.max(1.08, (high / low) ** room), domain = [low / margin, high * margin];
    return { type: "log", label, domain, ticks: logTicks(domain, width), tickFormat: String, grid: true };
  }
  const margin = room * (high - low) || 0.1 * Math.abs(high) || 1;
  return { label, domain: [Math.max(0, low - margin), high + margin], ticks: Math.max(3, Math.min(9, width / 90)), grid: true };
}

// ---- blocks -----------------------------------------------------------------------------------------------------------

function words({ lines }) {
  return make("div", { class: "words" }, ...lines.map((line) => make("p", {}, line)));
}

function facts({ rows }) {
  return make("dl", { class: "facts" }, ...rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

function tiles({ rows }) {
  const tile = ([name, value, note]) => make("div", {}, make("dt", {}, name), make("dd", {}, value, make("small", {}, note)));
  return make("dl", { class: "tiles" }, ...rows.map(tile));
}

function command({ told, text }) {
  const code = make("code", {}, text), many = text.trim().split("\n").length > 3;
  const copy = make("button", { type: "button", onclick: () => { getSelection().selectAllChildren(code); document.execCommand("copy"); } }, "copy");
  const inside = make("div", { class: "code" }, make("pre", { tabindex: 0 }, code), copy);
  return many ? make("details", { class: "command" }, make("summary", {}, told), inside) : make("div", { class: "command" }, make("p", {}, told), inside);
}

function pictures({ items }) {
  const one = ([src, caption]) => make("figure", {}, make("img", { src, alt: caption, decoding: "async" }), make("figcaption", {}, caption));
  return make("div", { class: "pictures" }, ...items.map(([caption, src]) => one([src, caption])));
}

/** Show rows that a click on a heading sorts, and a text filters; `dress` may change a row's element. Long ones are cut. */
function table({ caption, columns, rows }, dress = () => {}) {
  let lines = rows.map((row, place) => ({ row, place, cells: row.map((value, k) => shown(value, columns[k][1])) })), most = MOST_ROWS;
  const words = (line) => (line.text ??= line.cells.join(" ").toLowerCase());
  const side = (k) => (columns[k][1] === "text" ? null : "number");
  const built = (line) => {
    if (!line.element) dress((line.element = make("tr", {}, ...line.cells.map((text, k) => make(k ? "td" : "th", { class: side(k), scope: k ? null : "row" }, text)))), line.place);
    return line.element;
  };
  const heads = columns.map(([name], k) => make("th", { scope: "col", class: side(k) }, make("button", { type: "button", onclick: () => sort(k) }, name)));
  const filter = make("input", { type: "search", placeholder: "filter", "aria-label": `filter: ${caption}`, oninput: () => fill() });
  const count = make("output"), more = make("button", { type: "button", onclick: () => { most = Infinity; fill(); } }, "show all"), body = make("tbody");
  function fill() {
    const wanted = filter.value.toLowerCase().split(/\s+/), left = lines.filter((line) => wanted.every((word) => words(line).includes(word)));
    body.replaceChildren(...left.slice(0, most).map(built));
    more.hidden = left.length <= most;
    count.textContent = `${left.length === rows.length ? left.length : `${left.length} of ${rows.length}`} rows${more.hidden ? "" : `, the first ${most} shown`}`;
  }
  function sort(k) {
    const down = heads[k].getAttribute("aria-sort") === "ascending", sign = down ? -1 : 1;
    heads.forEach((head, other) => (other === k ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort")));
    const order = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
    lines = [...lines].sort(({ row: a }, { row: b }) => (a[k] == null) - (b[k] == null) || (a[k] == null ? 0 : sign * order(a[k], b[k])));
    fill();
  }
  fill();
  const grid = make("table", {}, make("caption", {}, caption), make("thead", {}, make("tr", {}, ...heads)), body);
  const tools = rows.length > 8 ? make("div", { class: "tools" }, filter, count, more) : null;
  return make("div", { class: "sheet" }, tools, make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, grid));
}

function matrix({ caption, columns, rows }) {
  const cell = (value) => {
    const made = make("td", { class: value > 0.55 ? "number dark" : "number" }, value == null ? "–" : (100 * value).toFixed(1));
    if (value) made.style.setProperty("--share", `${Math.round(100 * value)}%`);
    return made;
  };
  const head = make("tr", {}, make("td"), ...columns.map((name) => make("th", { scope: "col" }, make("span", {}, name))));
  const body = rows.map(([name, values]) => make("tr", {}, make("th", { scope: "row" }, name), ...values.map(cell)));
  const grid = make("table", { class: "matrix", "aria-label": caption }, make("thead", {}, head), make("tbody", {}, ...body));
  return make("figure", {}, make("figcaption", {}, `${caption}, %`), make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, grid));
}

function bars({ caption, series, rows }) {
  const most = d3.max(rows.flatMap(([, values]) => values)) || 1;
  const bar = (value, k) => {
    const made = make("div", { class: `bar s${k}` }, make("span", {}, value == null ? "absent" : (100 * value).toFixed(1)));
    made.style.setProperty("--share", `${(100 * (value ?? 0)) / Math.max(most, series.length > 1 ? 0 : 1)}%`);
    return made;
  };
  const body = rows.map(([name, values]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, ...values.map(bar))));
  const legend = series.length > 1 ? make("p", { class: "legend" }, ...series.map((name, k) => make("span", { class: `key s${k}` }, name))) : null;
  return make("div", {}, make("table", { class: "bars" }, make("caption", {}, `${caption}, %`), make("tbody", {}, ...body)), legend);
}

function lines(block) {
  const { caption, x, y, steps, rule } = block, factor = block.percent ? 100 : 1, unit = block.percent ? ", %" : "";
  const points = block.series.flatMap(([name, xs, ys]) => xs.map((at, k) => ({ name, at, value: factor * ys[k] })));
  const several = block.series.length > 1, few = block.series.length <= 6;
  const draw = (width) => Plot.plot({
    width, height: Math.min(300, 180 + width / 8), marginLeft: 52, marginBottom: 38, ariaLabel: caption,
    x: { label: `${x} →`, ticks: d3.ticks(...d3.extent(points, (p) => p.at), Math.min(12, width / 70)).filter(Number.isInteger), tickFormat: String }, y: { label: `↑ ${y}${unit}`, grid: true, nice: true, zero: y !== "learning rate" && !rule, ticks: 5 },
    color: { range: ["var(--front)", "var(--paper)", "var(--final)", "var(--other)", "var(--beaten)", "var(--ink)"] },
    marks: [
      rule && Plot.ruleY([factor * rule[1]], { stroke: "var(--paper)", strokeDasharray: "5 4" }),
      rule && Plot.text([rule[0]], { x: d3.max(points, (p) => p.at), y: factor * rule[1], text: (d) => d, dy: 10, textAnchor: "end", fill: "var(--paper)" }),
      Plot.line(points, { x: "at", y: "value", z: "name", curve: steps ? "step-after" : "linear", stroke: !several ? "var(--front)" : few ? "name" : "var(--beaten)", strokeOpacity: few ? 1 : 0.6 }),
      points.length < 120 ? Plot.dot(points, { x: "at", y: "value", r: 2.5, fill: !several ? "var(--front)" : few ? "name" : "var(--beaten)" }) : null,
      Plot.tip(points, Plot.pointer({ x: "at", y: "value", title: (p) => `${several ? `${p.name}\n` : ""}${x} ${shown(p.at, p.at % 1 ? 2 : 0)}: ${Number(p.value.toPrecision(4))}${unit && " %"}` })),
    ],
  });
  const rows = () => table({ caption, columns: [["curve", "text"], [x, 2], [y + unit, 4]], rows: points.map((p) => [p.name, p.at, p.value]) });
  const legend = several && few ? make("p", { class: "legend" }, ...block.series.map(([name], k) => make("span", { class: `key c${k}` }, name))) : null;
  const made = charted(caption, draw, rows);
  if (legend) made.insertBefore(legend, made.lastChild);
  return made;
}

/** A leaderboard's dots; those of a paper can be picked out. */
function dots(block) {
  const points = block.rows.map(([name, paper, x, y, steady]) => ({ name, paper, x, y, steady }));
  const best = new Set(points.filter((p) => !points.some((q) => q.x >= p.x && q.y >= p.y && (q.x > p.x || q.y > p.y))));
  const choice = make("select", {}, ...["the best", ...new Set(points.map((p) => p.paper).sort())].map((name) => make("option", {}, name)));
  const picked = (p) => (choice.selectedIndex ? p.paper === choice.value : best.has(p));
  const draw = (width) => {
    const some = points.filter(picked);
    const svg = Plot.plot({
      width, height: Math.min(460, Math.max(300, width * 0.55)), ariaLabel: block.caption, marginLeft: 50, marginRight: 24, marginBottom: 40,
      x: axis(`${block.x} →`, points.map((p) => p.x), width), y: { ...axis(`↑ ${block.y}`, points.map((p) => p.y), 500, { log: block.log_y }) },
      marks: [
        Plot.dot(points.filter((p) => !picked(p)), { x: "x", y: "y", r: 3.5, fill: (p) => (p.steady ? "var(--beaten)" : "var(--ground)"), stroke: "var(--beaten)" }),
        Plot.dot(some, { x: "x", y: "y", r: 5, fill: (p) => (p.steady ? "var(--front)" : "var(--ground)"), stroke: "var(--front)", strokeWidth: 1.4 }),
        Plot.tip(points, Plot.pointer({ x: "x", y: "y", title: (p) => `${p.name} (${p.paper})\n${block.x} ${p.x.toFixed(1)}\n${block.y} ${p.y.toFixed(1)}${p.steady ? "" : "\nunsteady latency"}` })),
      ],
    });
    requestAnimationFrame(() => label(svg, some.map((p) => ({ text: p.name, x: svg.scale("x").apply(p.x), y: svg.scale("y").apply(p.y) })), width));
    return svg;
  };
  const made = charted(block.caption, draw, () => table({ caption: block.caption, columns: [["network", "text"], ["paper", "text"], [block.x, 1], [block.y, 1]], rows: points.map((p) => [p.name, p.paper, p.x, p.y]) }));
  const holder = made.querySelector(".chart");
  choice.addEventListener("change", () => holder.replaceChildren(draw(holder.clientWidth)));
  holder.before(make("div", { class: "tools" }, make("label", {}, "named: ", choice), make("small", {}, "hollow: unsteady latency")));
  return made;
}

/** Write names beside marks where they are free of one another, the first ones first; one that finds no place is left out. */
function label(svg, wanted, width) {
  const taken = wanted.map(({ x, y }) => [x - 5, y - 5, x + 5, y + 5]);
  const layer = d3.select(svg).append("g").attr("class", "names");
  for (const { text, x, y, color = "currentColor", bold } of wanted) {
    const name = layer.append("text").attr("fill", color).attr("font-weight", bold ? 700 : null).text(text.length > 34 ? `${text.slice(0, 33)}…` : text);
    const long = name.node().getComputedTextLength();
    const places = [[4, -11], [-4 - long, -11], [-long / 2, -13], [7, 17], [9, 4], [-9 - long, 4], [-7 - long, 17], [-long / 2, 20], [9, -24], [-9 - long, -24], [9, 30], [-9 - long, 30]];
    const boxes = places.map(([dx, dy]) => [x + dx, y + dy - 11, x + dx + long, y + dy + 3]);
    const free = boxes.findIndex((a) => a[0] > MARGIN.left && a[2] < width - 2 && a[1] > MARGIN.top && !taken.some((b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]));
    if (free < 0) { name.remove(); continue; }
    taken.push(boxes[free]);
    name.attr("x", boxes[free][0]).attr("y", boxes[free][3] - 3);
  }
}
