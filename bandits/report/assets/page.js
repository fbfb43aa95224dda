// The curves of a report: uPlot draws them; this file chooses what, and says what lies under the pointer.
// Text from users enters the page through textContent only.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const shown = new Set(data.agents.keys());
  const state = { logT: null, logY: false, bands: true, whole: false }; // logT null: as each environment asks
  const HEIGHT = 340, FIRST_RATIO = 10, BOUND_DASHES = [[6, 4], [2, 3], [7, 3, 2, 3]];
  const panels = [];
  let printing = false;

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const root = document.documentElement.dataset; // theme: "light" or "dark", absent as long as the system chooses
  const systemTheme = () => matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const isDark = () => (root.theme ?? systemTheme()) === "dark";
  const setTheme = (theme) => { if (!theme || theme === systemTheme()) delete root.theme; else root.theme = theme; };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Numbers and colours

  const number = (value, digits = 4) => {
    if (value === null || value === undefined) return "-";
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(digits - 1);
    const decimals = size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
    return value.toLocaleString("en", { maximumFractionDigits: decimals, minimumFractionDigits: 0 });
  };
  const tick = (value) => value === null ? "" :
    Math.abs(value) >= 1e6 ? value.toExponential(0).replace("e+", "e") : value.toLocaleString("en", { maximumFractionDigits: 4 });
  const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const agentColour = (i, alpha = 1) => { // on dark paper, mixed with white until it stands out
    let rgb = channels(data.agents[i].color);
    while (isDark() && luminance(rgb) < 0.22) rgb = rgb.map((c) => c + 0.12 * (255 - c));
    return `rgba(${rgb.map(Math.round).join(",")},${alpha})`;
  };

  // What a panel shows

  const numbersOf = (panel) => { // rounds, and for each visible agent mean, low, high; bounds last
    const { environment, ratio } = panel;
    const first = ratio ? Math.max(0, environment.t.findIndex((t) => t >= Math.min(FIRST_RATIO, environment.t.at(-1)))) : 0;
    const unit = ratio ? environment.bounds[0].value : environment.t.map(() => 1);
    const scaled = (values) => values.slice(first).map((v, k) => v === null || !(unit[first + k] > 0) ? null : v / unit[first + k]);
    const curves = environment.curves.filter((curve) => shown.has(curve.agent)).map((curve) => {
      const mean = scaled(curve.mean), half = scaled(curve.half);
      return { ...curve, mean,
        low: mean.map((m, k) => m === null || half[k] === null ? null : m - half[k]),
        high: mean.map((m, k) => m === null || half[k] === null ? null : m + half[k]) };
    });
    const t = environment.t.slice(first);
    const bounds = ratio ? [{ name: "the bound: ratio 1", value: t.map(() => 1) }]
      : environment.bounds.map((bound) => ({ name: bound.name, value: bound.value }));
    return { t, curves, bounds };
  };

  const heightOf = (panel, numbers) => { // the axis ends above every curve but those that dwarf the others, as in the drawings
    if (state.whole || state.logY || !numbers.curves.length) return { top: Infinity, leaving: [] };
    const last = numbers.curves.map((curve) => curve.mean.at(-1)).sort((a, b) => a - b);
    const bound = panel.ratio ? 1 : Math.max(0, ...numbers.bounds.map((b) => b.value.at(-1)));
    const at = 0.25 * (last.length - 1), low = Math.floor(at);
    const quartile = last[low] + (at - low) * ((last[low + 1] ?? last[low]) - last[low]);
    const near = Math.max(5 * quartile, 2 * bound);
    const inside = Math.max(...numbers.curves.filter((c) => c.mean.at(-1) <= near).map((c) => Math.max(...c.mean)));
    const top = Math.max(1.08 * (bound <= 2 * inside ? Math.max(inside, bound) : inside), panel.ratio ? 1.2 : 0) || 1;
    const leaving = numbers.curves.filter((c) => c.mean.at(-1) > top).map((c) => `${data.agents[c.agent].name} ${number(c.mean.at(-1), 3)}`);
    for (const b of numbers.bounds) if (b.value.at(-1) > top) leaving.push(`${b.name} ${number(b.value.at(-1), 3)}`);
    return { top, leaving };
  };

  const sameCurves = (numbers) => {
    const groups = new Map();
    for (const curve of numbers.curves) {
      const key = curve.mean.join();
      groups.set(key, [...(groups.get(key) ?? []), data.agents[curve.agent].name]);
    }
    return [...groups.values()].filter((names) => names.length > 1);
  };

  const decades = (low, high) => { // ticks of a logarithmic axis: powers of ten, on a short one their multiples by 2 and 5, too
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++)
      for (const digit of high / low < 200 ? [1, 2, 5] : [1]) ticks.push(Number(`${digit}e${power}`));
    const splits = ticks.filter((v) => v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9));
    return { splits: () => splits, filter: (u, values) => values, values: (u, values) => values.map((v) => number(v)) };
  };

  const draw = (panel) => {
    const width = printing ? 640 : panel.plot.clientWidth;
    if (!width) return;
    const numbers = numbersOf(panel), { top, leaving } = heightOf(panel, numbers);
    const logT = state.logT ?? (panel.ratio || panel.environment.log_t);
    const values = [...numbers.curves.flatMap((c) => c.mean), ...numbers.bounds.flatMap((b) => b.value)].filter((v) => v > 0);
    const lowest = (values.length ? Math.min(...values) : 0.1) / 1.15, highest = (values.length ? Math.max(...values) : 1) * 1.15;
    const fit = (values) => state.logY ? values.map((v) => v === null || v > 0 ? v : null) : values;
    const floor = (values) => state.logY ? values.map((v) => v === null ? v : Math.max(v, lowest)) : values;
    const columns = [numbers.t], series = [{}], bands = [];
    for (const curve of numbers.curves) {
      const agent = data.agents[curve.agent], i = columns.length;
      columns.push(fit(curve.mean), floor(curve.high), floor(curve.low));
      series.push({ label: agent.name, stroke: agentColour(curve.agent), width: 1.8, dash: agent.dash.map((d) => 1.8 * d), points: { show: numbers.t.length < 2 } },
        { stroke: "transparent", points: { show: false }, show: state.bands }, { stroke: "transparent", points: { show: false }, show: state.bands });
      if (state.bands) bands.push({ series: [i + 1, i + 2], fill: agentColour(curve.agent, numbers.curves.length > 8 ? 0.09 : 0.16) });
    }
    numbers.bounds.forEach((bound, k) => {
      columns.push(fit(bound.value));
      series.push({ label: bound.name, stroke: colour("--ink"), width: 1.4, dash: BOUND_DASHES[k % 3], points: { show: false } });
    });
    const lines = { stroke: colour("--line"), width: 1 };
    const axis = { stroke: colour("--faint"), grid: lines, ticks: lines, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelSize: 18, labelGap: 0 };
    panel.chart?.destroy();
    panel.numbers = numbers;
    panel.plot.dataset.t = logT ? "log" : "linear";
    panel.plot.dataset.y = state.logY ? "log" : "linear";
    panel.chart = new uPlot({
      width, height: HEIGHT, series, bands, legend: { show: false },
      scales: {
        x: { time: false, distr: logT ? 3 : 1, range: (u, low, high) => low === high ? [low * 0.9, high * 1.1 || 1] : [low, high] },
        y: { distr: state.logY ? 3 : 1, range: (u, low, high) => state.logY
          ? [lowest, highest]
          : [Math.min(0, low ?? 0), Math.min(top, 1.05 * (high || 1))] },
      },
      axes: [
        { ...axis, label: "round t", size: 36, space: 60, ...(logT ? decades(numbers.t[0], numbers.t.at(-1)) : { values: (u, splits) => splits.map(tick) }) },
        { ...axis, label: panel.ratio ? "regret / bound" : panel.environment.regret, size: 56, ...(state.logY ? decades(lowest, highest) : { values: (u, splits) => splits.map(tick) }) },
      ],
      cursor: { y: false, drag: { x: true, y: false }, points: { show: false } },
      hooks: { setCursor: [(u) => tell(panel, u)] },
    }, columns, panel.plot);
    const notes = leaving.length ? [`leaves the panel: ${leaving.join(", ")}`] : [];
    for (const names of sameCurves(numbers)) notes.push(`same curve: ${names.join(", ")}`);
    panel.note.textContent = notes.join("; ");
    panel.tip = make("div", { className: "tip" });
    panel.chart.over.append(panel.tip);
  };

  const tell = (panel, chart) => { // value and interval of the curves under the pointer, the nearest in bold
    const k = chart.cursor.idx, tip = panel.tip;
    if (!tip) return;
    if (k === null || k === undefined || chart.cursor.left < 0) { tip.style.display = "none"; return; }
    const rows = panel.numbers.curves.filter((curve) => curve.mean[k] !== null).map((curve) => ({
      name: data.agents[curve.agent].name, colour: agentColour(curve.agent), value: curve.mean[k],
      text: curve.low[k] === null ? number(curve.mean[k]) : `${number(curve.mean[k])} [${number(curve.low[k])}, ${number(curve.high[k])}]`,
    }));
    for (const bound of panel.numbers.bounds) rows.push({ name: bound.name, colour: colour("--ink"), value: bound.value[k], text: number(bound.value[k]) });
    for (const row of rows) row.away = Math.abs(chart.valToPos(row.value, "y") - chart.cursor.top);
    rows.sort((a, b) => a.away - b.away);
    const near = rows.slice(0, chart.width < 500 ? 5 : 9), nearest = near[0];
    near.sort((a, b) => b.value - a.value);
    tip.replaceChildren(make("div", { textContent: `t = ${panel.numbers.t[k].toLocaleString("en")}` }), ...near.map((row) => {
      const swatch = make("i");
      swatch.style.background = row.colour;
      return make("div", { className: row === nearest ? "nearest" : "" }, swatch, make("span", { textContent: row.name }), make("b", { textContent: row.text }));
    }));
    tip.style.display = "block";
    const { left, top } = chart.cursor, wide = chart.over.clientWidth, high = chart.over.clientHeight;
    const x = left + 14 + tip.offsetWidth <= wide ? left + 14 : left - 14 - tip.offsetWidth;
    tip.style.left = `${Math.max(Math.min(x, wide - tip.offsetWidth), Math.min(0, wide - tip.offsetWidth))}px`;
    tip.style.top = `${Math.max(0, Math.min(top - tip.offsetHeight / 2, high - tip.offsetHeight))}px`;
  };

  // Switches

  const drawAll = () => panels.forEach((panel) => { if (panel.seen || printing) draw(panel); });
  const line = (stroke, dash) => { // a piece of a curve, for the legend
    const ns = "http://www.w3.org/2000/svg", svg = document.createElementNS(ns, "svg"), drawn = document.createElementNS(ns, "line");
    for (const [k, v] of Object.entries({ width: 26, height: 8, "aria-hidden": true })) svg.setAttribute(k, v);
    for (const [k, v] of Object.entries({ x1: 0, x2: 26, y1: 4, y2: 4, "stroke-width": 2.5, stroke, "stroke-dasharray": dash.join(" ") })) drawn.setAttribute(k, v);
    svg.append(drawn);
    return svg;
  };
  const swatch = (i) => line(agentColour(i), data.agents[i].dash.map((d) => 2 * d));
  const legends = [];
  const refresh = () => {
    for (const { button, agent } of legends) {
      button.setAttribute("aria-pressed", shown.has(agent));
      button.replaceChild(swatch(agent), button.firstChild);
    }
    for (const { button, pressed } of switches) button.setAttribute("aria-pressed", pressed());
    drawAll();
  };
  const legendOf = (environment) => {
    const row = make("div", { className: "agents" });
    for (const { agent } of environment.curves) {
      const button = make("button", { type: "button", title: "click: on or off; double click: only this one" }, swatch(agent), make("span", { textContent: data.agents[agent].name }));
      button.dataset.agent = agent;
      button.addEventListener("click", () => { if (!shown.delete(agent)) shown.add(agent); refresh(); });
      button.addEventListener("dblclick", () => { shown.clear(); shown.add(agent); refresh(); });
      legends.push({ button, agent });
      row.append(button);
    }
    environment.bounds.forEach((bound, k) => row.append(make("span", { className: "bound" }, line("currentColor", BOUND_DASHES[k % 3]), bound.name)));
    const all = make("button", { type: "button", className: "all", textContent: "all" });
    all.addEventListener("click", () => { data.agents.forEach((_, i) => shown.add(i)); refresh(); });
    row.append(all);
    return row;
  };
  const switches = [];
  const addSwitch = (text, id, pressed, press) => {
    const button = make("button", { type: "button", textContent: text, id });
    button.addEventListener("click", () => { press(); refresh(); });
    switches.push({ button, pressed });
    tools.append(button);
  };
  const tools = document.getElementById("tools");
  const someLogT = () => state.logT ?? data.environments.some((e) => e.log_t);
  addSwitch("log t", "switch-log-t", someLogT, () => { state.logT = !someLogT(); });
  addSwitch("log regret", "switch-log-y", () => state.logY, () => { state.logY = !state.logY; });
  addSwitch("bands", "switch-bands", () => state.bands, () => { state.bands = !state.bands; });
  addSwitch("whole range", "switch-whole", () => state.whole, () => { state.whole = !state.whole; });
  addSwitch("dark", "switch-dark", isDark, () => setTheme(isDark() ? "light" : "dark"));
  tools.append(make("span", { className: "note", textContent: "drag over a curve to zoom, double click to return" }));
  tools.hidden = false;

  // The page

  const addPanel = (environment, ratio, grid) => {
    const title = ratio ? "Mean regret over the lower bound" : "Mean regret";
    const plot = make("div", { className: "plot", role: "img", ariaLabel: `${title}, ${environment.name}; the table below has the numbers` });
    const note = make("p", { className: "note" });
    grid.append(make("div", { className: "panel" }, make("h3", { textContent: title }), plot, note));
    panels.push({ environment, ratio, plot, note, seen: false });
  };
  for (const place of document.querySelectorAll(".curves")) {
    const environment = data.environments[place.dataset.environment];
    if (!environment.curves.length) { place.append(make("p", { className: "note", textContent: "No replication is finished yet." })); continue; }
    const grid = make("div", { className: "panels" });
    place.append(legendOf(environment), grid);
    addPanel(environment, false, grid);
    if (environment.ratio) addPanel(environment, true, grid);
  }
  const nearby = new IntersectionObserver((entries) => { // draw what comes near the window, and what was drawn before
    for (const entry of entries) {
      const panel = panels.find((one) => one.plot === entry.target);
      if (entry.isIntersecting && !panel.seen) { panel.seen = true; draw(panel); }
    }
  }, { rootMargin: "600px" });
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const panel = panels.find((one) => one.plot === target);
      if (panel.chart && !printing && target.clientWidth && panel.chart.width !== target.clientWidth) panel.chart.setSize({ width: target.clientWidth, height: HEIGHT });
    }
  });
  refresh();
  for (const panel of panels) { nearby.observe(panel.plot); resized.observe(panel.plot); }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
  let before; // theme on the screen
  addEventListener("beforeprint", () => {
    before = root.theme;
    printing = true;
    root.theme = "light";
    refresh();
  });
  addEventListener("afterprint", () => {
    printing = false;
    setTheme(before);
    refresh();
  });

  // The sentence of a pair of agents

  for (const comparison of document.querySelectorAll(".comparison")) {
    const said = comparison.querySelector(".said"), lines = comparison.querySelectorAll(".lines li");
    const say = (event) => {
      const cell = event.target.closest("td[data-pair]");
      if (!cell) return;
      comparison.querySelector(".chosen")?.classList.remove("chosen");
      cell.classList.add("chosen");
      said.textContent = lines[cell.dataset.pair].textContent;
    };
    comparison.querySelector(".matrix").addEventListener("mouseover", say);
    comparison.querySelector(".matrix").addEventListener("click", say);
  }
})();
