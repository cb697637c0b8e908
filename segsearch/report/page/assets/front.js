"use strict";
// The Pareto front of one or two studies: networks to point at, a budget to move, and which network is best within it.
const STYLES = [{ front: "var(--front)", beaten: "var(--beaten)" }, { front: "var(--other)", beaten: "var(--other-beaten)" }];
const view = { studies: [], limit: Infinity, selected: null, untrained: true, told: [] };

/** Give rows their names back. */
function opened(block) {
  const named = (names, row) => Object.fromEntries(names.map((name, k) => [name, row[k]]));
  return block.studies.map((study, index) => {
    const trials = study.rows.map((row) => named(block.columns, row));
    for (const trial of trials) Object.assign(trial, { study, index, final: trial.final && named(block.final, trial.final), trained: trial.miou != null });
    return { ...study, index, trials };
  });
}

/** Pick the best network within a limit, as `segsearch export` does: the fastest of those that cannot be told from the best. */
function best(study, limit) {
  const faster = (a, b) => a.ms - b.ms || b.miou - a.miou || a.number - b.number;
  if (study.decided) {
    const inside = study.trials.filter((t) => t.final?.settled && t.fits && t.final.least <= limit).map((t) => ({ trial: t, ...t.final }));
    const top = inside.reduce((a, b) => (!a || b.miou > a.miou || (b.miou === a.miou && b.ms < a.ms) ? b : a), null);
    const tied = inside.filter((each) => Math.abs(each.miou - top.miou) <= (each.error ?? 0) + (top.error ?? 0));
    return tied.sort((a, b) => a.ms - b.ms || a.trial.number - b.trial.number)[0]?.trial ?? null;
  }
  const inside = study.trials.filter((t) => t.trained && t.fits && t.least <= limit);
  const top = inside.reduce((a, b) => (!a || b.miou > a.miou || (b.miou === a.miou && (b.ms < a.ms || (b.ms === a.ms && b.number < a.number))) ? b : a), null);
  return inside.filter((t) => t.miou >= top.miou - (top.error ?? 0)).sort(faster)[0] ?? null;
}

/** Write the figures of a network, in lines for a tip or a panel. */
function figures(trial) {
  const { ms, p10, p90, final } = trial;
  const pieces = trial.trained ? [`mIoU ${shown(trial.miou, "percent")}${trial.error ? ` ± ${(100 * trial.error).toFixed(1)}` : ""}`] : [trial.state + (trial.reason ? `: ${trial.reason}` : "")];
  if (final) pieces.push(`trained in full: mIoU ${shown(final.miou, "percent")}${final.deviation == null ? "" : ` ± ${(100 * final.deviation).toFixed(1)}`} over ${final.seeds} seed${final.seeds > 1 ? "s" : ""}`);
  if (ms != null) pieces.push(`${ms.toFixed(2)} ms, ${(1000 / ms).toFixed(1)} FPS`, `p10 to p90: ${p10.toFixed(2)} to ${p90.toFixed(2)} ms${trial.doubt === "steady" ? "" : `, ${trial.doubt}`}`);
  if (trial.params != null) pieces.push(`${shown(trial.params, "count")} parameters, ${shown(trial.macs, "count")} MACs`);
  return [...pieces, `trial ${trial.number}${view.studies.length > 1 ? ` of ${trial.study.name}` : ""}${trial.trained ? `, ${trial.state}` : ""}${trial.paper ? ", a paper's network" : ""}`];
}

function front(block) {
  view.studies = opened(block);
  view.all = view.studies.flatMap(({ trials }) => trials);
  const own = d3.min(view.studies, (study) => study.limit ?? Infinity);
  view.limit = own;
  const held = make("div", { class: "chart", id: "front", tabindex: 0, role: "group", "aria-label": "Pareto front: mIoU over latency. Arrow keys go from network to network.", onkeydown: (event) => walk(event) });
  const number = (name, step) => make("input", { type: "number", min: 0, step, "aria-label": name, id: name.replaceAll(" ", "-") });
  const fps = number("least FPS", "any"), ms = number("most ms", "any");
  fps.addEventListener("change", () => limited(fps.value > 0 ? 1000 / fps.value : Infinity));
  ms.addEventListener("change", () => limited(ms.value > 0 ? Number(ms.value) : Infinity));
  const button = (text, limit) => make("button", { type: "button", onclick: () => limited(limit) }, text);
  const rest = view.all.filter((t) => !t.trained);
  const box = make("input", { type: "checkbox", checked: true, id: "untrained", onchange: () => { view.untrained = box.checked; held.replaceChildren(); view.draw(); } });
  const counts = ["rejected", "stopped", "failed"].map((state) => [rest.filter((t) => t.state === state).length, state]).filter(([count]) => count).map(([count, state]) => `${count} ${state}`);
  const tools = make("div", { class: "tools" }, make("label", {}, "budget: at least ", fps, " FPS, "), make("label", {}, "at most ", ms, " ms"),
    own < Infinity ? button("the study's", own) : null, button("none", Infinity), counts.length ? make("label", {}, box, ` ${counts.join(", ")}`) : null);
  const winners = make("div", { class: "winners", role: "status", "aria-live": "polite" });
  const chosen = make("div", { class: "chosen", "aria-live": "polite" });
  view.told = [() => { fps.value = view.limit < Infinity ? Number((1000 / view.limit).toPrecision(5)) : ""; ms.value = view.limit < Infinity ? Number(view.limit.toPrecision(5)) : ""; winners.replaceChildren(...view.studies.map(winner)); },
    () => chosen.replaceChildren(...(view.selected ? [detail(view.selected)] : []))];
  responsive(held, (width) => { view.draw = () => { held.replaceChildren(); frontChart(held, held.clientWidth); }; frontChart(held, width); });
  view.told.forEach((tell) => tell());
  return make("div", {}, winners, make("figure", {}, tools, held, legend()), chosen);
}

/** Move the budget. */
function limited(limit) {
  view.limit = limit;
  view.mark?.();
  view.told[0]();
}

/** Choose a network: its figures are told, its mark is ringed, its row is lit. */
function select(trial) {
  view.selected = trial;
  view.mark?.();
  view.told[1]();
  document.querySelectorAll("tr.lit").forEach((row) => row.classList.remove("lit"));
  trial?.row?.classList.add("lit");
}

/** Go to the next network by latency, of those trained. */
function walk(event) {
  if (event.target.getAttribute("role") === "slider") return;
  const order = view.all.filter((t) => t.trained).sort((a, b) => a.ms - b.ms || a.number - b.number), place = order.indexOf(view.selected);
  const to = { ArrowRight: place + 1, ArrowLeft: place < 0 ? 0 : place - 1, Home: 0, End: order.length - 1 }[event.key];
  if (to === undefined || !order.length) return;
  event.preventDefault();
  select(order[Math.max(0, Math.min(order.length - 1, to))]);
}

/** Tell the best network of a study within the budget. */
function winner(study) {
  const found = best(study, view.limit), several = view.studies.length > 1;
  const within = view.limit < Infinity ? `within ${view.limit.toFixed(2)} ms (${Number((1000 / view.limit).toPrecision(3))} FPS)` : "of all";
  const head = make("p", { class: "over" }, `best network ${within}${several ? ` of ${study.name}` : ""}`);
  if (!found) {
    const near = d3.least(study.trials.filter((t) => t.ms != null), (t) => t.ms);
    const told = study.trials.length === 0 ? "no network has been tried yet" : study.trials.some((t) => t.trained) ? "no trained network is as fast" : "no network is trained yet";
    return make("div", { class: `winner s${study.index}` }, head, make("h3", {}, "none"), make("p", {}, `${told}${near ? `; the fastest is ${near.name}, ${near.ms.toFixed(2)} ms` : ""}`));
  }
  const { final } = found, miou = final && study.decided ? final.miou : found.miou, ms = final && study.decided ? final.ms : found.ms;
  const spread = final && study.decided ? final.deviation : found.error;
  const one = (name, value, note) => make("div", {}, make("dt", {}, name), make("dd", {}, value, note && make("small", {}, note)));
  return make("div", { class: `winner s${study.index}` }, head, make("h3", {}, make("button", { type: "button", onclick: () => select(found) }, found.name)),
    make("dl", { class: "tiles" }, one("mIoU", shown(miou, "percent"), spread ? `± ${(100 * spread).toFixed(1)}` : null), one("latency", `${ms.toFixed(2)} ms`, found.doubt === "steady" ? null : ms > view.limit ? `${found.doubt}, perhaps within` : found.doubt),
      one("speed", `${(1000 / ms).toFixed(1)} FPS`), one("size", shown(found.params, "count"), "parameters"), one("work", shown(found.macs, "count"), "MACs"), one("trial", String(found.number))));
}

/** Tell all of the chosen network: figures, choices, and how to have it. */
function detail(trial) {
  const choices = (trial.choices ?? []).map((held, k) => [trial.study.choices[k][0], held == null ? null : String(trial.study.choices[k][1][held])]).filter(([, value]) => value != null);
  const where = `'${`${trial.study.folder}#${trial.number}`.replaceAll("'", "'\\''")}'`;
  return make("section", { class: "detail" }, make("h3", {}, trial.name), words({ lines: figures(trial) }), choices.length ? make("details", {}, make("summary", {}, `its ${choices.length} choices`), facts({ rows: choices })) : null,
    command({ told: "all of its forms, and a full training of it", text: `segsearch show ${where}\nsegsearch train ${where} --data DATA` }));
}

/** Explain the marks that occur. */
function legend() {
  const some = (test) => view.all.some(test), keys = [];
  view.studies.forEach((study, k) => keys.push([`front s${k}`, view.studies.length > 1 ? `front of ${study.name}` : "on the front"]));
  if (some((t) => t.trained && !t.front)) keys.push(["beaten", "trained, beaten"]);
  if (some((t) => t.paper)) keys.push(["paper", "a paper's network"]);
  if (some((t) => t.final)) keys.push(["full", "trained in full, ± deviation"]);
  if (some((t) => t.trained && t.doubt !== "steady")) keys.push(["hollow", "unsteady latency"]);
  for (const [state, told] of [["rejected", "rejected, never trained"], ["stopped", "stopped at a rung"], ["failed", "failed"]]) if (some((t) => t.state === state && t.ms != null)) keys.push([state, told]);
  return make("p", { class: "legend" }, ...keys.map(([kind, told]) => make("span", { class: `key ${kind}` }, told)));
}

function frontChart(held, width) {
  const trained = view.all.filter((t) => t.trained), foot = view.untrained ? view.all.filter((t) => !t.trained && t.ms != null) : [];
  const finals = trained.filter((t) => t.final), own = view.studies.map((study) => study.limit).filter(Boolean);
  const height = Math.round(Math.min(520, Math.max(320, width * 0.58))), bottom = height - MARGIN.bottom;
  const xs = [...trained, ...foot].map((t) => t.ms).concat(finals.map((t) => t.final.ms), own);
  const ys = trained.map((t) => 100 * t.miou).concat(finals.flatMap(({ final: f }) => [100 * (f.miou - (f.deviation ?? 0)), 100 * (f.miou + (f.deviation ?? 0))]));
  const x = axis("latency of one image, ms →", xs, width), y = ys.length ? axis("↑ mIoU, %", ys, 500, { log: false, room: 0.12 }) : { label: "↑ mIoU, %", domain: [0, 100], grid: true };
  const low = y.domain[0], fill = (t) => (t.doubt === "steady" ? color(t) : "var(--ground)");
  const color = (t) => (t.paper ? "var(--paper)" : STYLES[t.index][t.front ? "front" : "beaten"]);
  const place = (t) => (t.trained ? 100 * t.miou : low);
  const dot = (some, symbol, r) => Plot.dot(some, { x: "ms", y: place, r, symbol, fill, stroke: (t) => (t.doubt === "steady" ? "var(--ground)" : color(t)), strokeWidth: 1.2 });
  const steps = view.studies.map((study) => {
    const on = (study.stepped ? study.trials : []).filter((t) => t.front).sort((a, b) => a.ms - b.ms);
    const corners = on.map((t) => [t.ms, 100 * t.miou]);
    return Plot.line(on.length ? [[on[0].ms, low], ...corners, [x.domain[1], corners.at(-1)[1]]] : [], { curve: "step-after", stroke: STYLES[study.index].front, strokeWidth: 1.8 });
  });
  const svg = Plot.plot({
    width, height, marginTop: MARGIN.top, marginRight: MARGIN.right, marginBottom: MARGIN.bottom, marginLeft: MARGIN.left, x, y, ariaLabel: "mIoU over latency",
    marks: [
      Plot.ruleX(foot.filter((t) => t.state === "rejected"), { x: "ms", y1: low, y2: low + 0.025 * (y.domain[1] - low), stroke: (t) => (t.paper ? "var(--paper)" : "var(--soft)") }),
      Plot.dot(foot.filter((t) => t.state === "stopped"), { x: "ms", y: low, dy: -5, symbol: "triangle", r: 3.5, stroke: "var(--soft)" }),
      Plot.dot(foot.filter((t) => t.state === "failed"), { x: "ms", y: low, dy: -5, symbol: "times", r: 4, stroke: "var(--limit)" }),
      ...steps,
      Plot.link(finals, { x1: "ms", y1: place, x2: (t) => t.final.ms, y2: (t) => 100 * t.final.miou, stroke: "var(--final)", strokeDasharray: "2 3" }),
      Plot.ruleX(finals.filter((t) => t.final.deviation != null), { x: (t) => t.final.ms, y1: (t) => 100 * (t.final.miou - t.final.deviation), y2: (t) => 100 * (t.final.miou + t.final.deviation), stroke: "var(--final)", strokeWidth: 2 }),
      Plot.dot(finals, { x: (t) => t.final.ms, y: (t) => 100 * t.final.miou, symbol: "diamond", r: 5.5, fill: "var(--final)", stroke: "var(--ground)" }),
      dot(trained.filter((t) => !t.front && !t.paper), "circle", 3.5), dot(trained.filter((t) => t.front && !t.paper), "circle", 5), dot(trained.filter((t) => t.paper), "square", 5),
      Plot.tip([...trained, ...foot], Plot.pointer({ x: "ms", y: place, maxRadius: 30, title: (t) => [t.name, ...figures(t)].join("\n"), lineWidth: 26 })),
    ],
  });
  svg.addEventListener("click", () => svg.value && select(svg.value));
  held.replaceChildren(svg);
  const at = svg.scale("x"), up = svg.scale("y"), mid = (MARGIN.left + width - MARGIN.right) / 2;
  if (!trained.length) d3.select(svg).append("text").attr("class", "empty").attr("x", mid).attr("y", height / 2).text(view.all.length ? "no network is trained yet" : "no network has been tried yet");
  const layer = d3.select(svg).append("g").attr("class", "budget"), right = at.apply(x.domain[1]);
  const shade = layer.insert("rect").attr("y", MARGIN.top).attr("height", bottom - MARGIN.top);
  const line = layer.append("line").attr("y1", MARGIN.top).attr("y2", bottom), words = layer.append("text").attr("y", MARGIN.top - 9);
  const rings = layer.append("g").attr("class", "rings"), handle = layer.append("g").attr("class", "handle").attr("tabindex", 0).attr("role", "slider").attr("aria-label", "budget: highest latency in milliseconds");
  handle.append("rect").attr("x", -12).attr("width", 24).attr("y", MARGIN.top).attr("height", bottom - MARGIN.top).attr("fill", "transparent");
  handle.append("path").attr("d", "M-7,0 7,0 7,8 0,15 -7,8Z").attr("transform", `translate(0,${MARGIN.top - 4})`);
  const within = (px) => { const ms = at.invert(Math.max(MARGIN.left, Math.min(px, right))); return px >= right - 1 ? Infinity : ms; };
  handle.call(d3.drag().container(svg).on("drag", (event) => limited(within(event.x))));
  handle.on("click", (event) => event.stopPropagation()).on("keydown", (event) => {
    const stops = [...new Set(trained.map((t) => Math.max(t.ms, t.least)))].sort((a, b) => a - b), now = view.limit;
    const to = { ArrowRight: stops.find((ms) => ms > now) ?? Infinity, ArrowLeft: stops.findLast((ms) => ms < now) ?? now, Home: stops[0], End: Infinity }[event.key];
    if (to !== undefined) { event.preventDefault(); limited(to); }
  });
  view.mark = () => {
    const px = Math.max(MARGIN.left, Math.min(right, view.limit < Infinity ? at.apply(view.limit) : right)), none = view.limit === Infinity;
    handle.attr("transform", `translate(${px},0)`).attr("aria-valuemin", x.domain[0]).attr("aria-valuemax", x.domain[1]).attr("aria-valuenow", none ? x.domain[1] : view.limit).attr("aria-valuetext", none ? "no budget" : `${view.limit.toFixed(2)} ms`);
    line.attr("x1", px).attr("x2", px);
    shade.attr("x", px).attr("width", right - px);
    words.text(none ? "no budget: drag to set one" : `${view.limit.toFixed(2)} ms, ${Number((1000 / view.limit).toPrecision(4))} FPS`).attr("x", px > mid ? px - 12 : px + 12).attr("text-anchor", px > mid ? "end" : "start");
    const ringed = view.studies.map((study) => best(study, view.limit)).filter(Boolean).map((t) => [t, "winning"]).concat(view.selected ? [[view.selected, "selected"]] : []);
    rings.selectAll("circle").data(ringed.filter(([t]) => t.ms != null)).join("circle").attr("class", ([, kind]) => kind).attr("cx", ([t]) => at.apply(t.ms)).attr("cy", ([t]) => up.apply(place(t))).attr("r", ([, kind]) => (kind === "winning" ? 10 : 13));
  };
  view.mark();
  const first = view.studies.map((study) => best(study, view.limit)).filter(Boolean);
  const names = [...new Set([...first, ...trained.filter((t) => t.paper), ...(width > 560 ? trained.filter((t) => t.front && view.all.length < 60) : [])])];
  label(svg, names.map((t) => ({ text: t.name, x: at.apply(t.ms), y: up.apply(place(t)), color: t.paper ? "var(--paper-ink)" : undefined, bold: first.includes(t) })), width);
}

/** List the trials of the chart; a name in the list chooses it there. */
function trials() {
  const several = view.studies.length > 1, columns = [["trial", 0], ["network", "text"], ["mIoU", "percent"], ["ms", 2], ["FPS", 1], ["params", "count"], ["MACs", "count"], ["timing", "text"], ["state", "text"], ["origin", "text"], ...(several ? [["study", "text"]] : [])];
  const rows = view.all.map((t) => [t.number, t.name, t.miou, t.ms, t.ms && 1000 / t.ms, t.params, t.macs, t.doubt, t.reason && !t.trained ? `${t.state}: ${t.reason}` : t.state, t.paper ? "paper" : t.origin, ...(several ? [t.study.name] : [])]);
  return table({ caption: "all trials", columns, rows }, (line, place) => {
    const trial = view.all[place], cell = line.children[1];
    trial.row = line;
    line.className = trial.trained ? "" : "untrained";
    if (trial.ms != null) cell.replaceChildren(make("button", { type: "button", onclick: () => { select(trial); document.querySelector(".chosen").scrollIntoView({ block: "center" }); } }, trial.name));
  });
}

// ---- the page -----------------------------------------------------------------------------------------------------------
document.title = page.title;
document.querySelector("h1").textContent = page.title;
document.getElementById("subtitle").textContent = page.subtitle;
const KINDS = { words, facts, tiles, command, pictures, table, matrix, bars, lines, dots, front, trials };
page.sections.forEach(({ title, blocks }, k) => {
  document.querySelector("nav").append(make("a", { href: `#part${k}` }, title));
  document.querySelector("main").append(make("section", { id: `part${k}` }, make("h2", {}, title), ...blocks.map((block) => KINDS[block.kind](block))));
});
