// What the pages do beyond showing: copy a command, filter a table, compare runs, explore curves, move a
// reported value. Without it everything can still be read. No page asks for anything from anywhere.
"use strict";

// ---- commands ----

function copyButtons() {
  for (const button of document.querySelectorAll("button.copy")) {
    const code = button.parentElement.querySelector("code");
    button.hidden = false;
    button.setAttribute("aria-label", `Copy: ${code.textContent}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code); // a page from disk may not write to the clipboard
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
}

// ---- filters ----

function filters() {
  for (const form of document.querySelectorAll("form.filter")) {
    const rows = [...document.querySelectorAll(`#${form.dataset.table} tbody tr`)];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const apply = () => {
      const wanted = Object.fromEntries(new FormData(form));
      const words = (wanted.words || "").toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, place) => {
        const fits = Object.entries(wanted).every(([key, value]) => key === "words" || !value || row.dataset[key] === value
          || (key === "report" && row.dataset.report.split(" ").includes(value)))
          && words.every((word) => texts[place].includes(word));
        row.hidden = !fits;
        shown += fits;
      });
      form.querySelector("output").textContent = `${shown} of ${rows.length}`;
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    for (const part of document.querySelectorAll(".stack .part")) {
      part.addEventListener("click", () => {
        form.elements.report.value = part.dataset.report;
        form.elements.verdict.value = part.dataset.verdict;
        apply();
      });
    }
    apply();
  }
}

// ---- two runs ----

function comparison() {
  const form = document.querySelector("#compare");
  if (!form) return;
  const { common, differing } = JSON.parse(document.querySelector("#settings").textContent);
  const output = document.querySelector("#difference");
  const asked = new URLSearchParams(location.search);
  for (const name of ["a", "b"]) form.elements[name].value = asked.get(name) || "";
  const cell = (kind, text) => {
    const made = document.createElement(kind);
    made.textContent = text;
    return made;
  };
  const show = () => {
    const [a, b] = ["a", "b"].map((name) => form.elements[name].value.trim());
    output.replaceChildren();
    const unknown = [a, b].find((name) => name && !(name in differing));
    if (unknown !== undefined) output.append(cell("p", `No run ${unknown}.`));
    if (!a || !b || unknown !== undefined) return;
    const of = (name) => ({ ...common, ...differing[name] });
    const [left, right] = [of(a), of(b)];
    const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])].filter((key) => left[key] !== right[key]);
    if (!keys.length) { output.append(cell("p", "Their settings are the same.")); return; }
    const table = cell("table", "");
    table.className = "data";
    const head = table.createTHead().insertRow();
    for (const text of ["Setting", a, b]) head.append(cell("th", text));
    const body = table.createTBody();
    for (const key of keys.sort()) {
      const row = body.insertRow();
      row.append(cell("th", key), cell("td", left[key] ?? "–"), cell("td", right[key] ?? "–"));
    }
    output.append(table);
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
}

// ---- the slider of the method ----

function slider() {
  const form = document.querySelector("#slider");
  if (!form) return;
  const [low, high] = [Number(form.dataset.low), Number(form.dataset.high)];
  const digits = (form.dataset.reported.split(".")[1] || "").length;
  const turning = form.querySelector(".turning");
  form.elements.reported.addEventListener("input", () => {
    const value = Number(form.elements.reported.value);
    const verdict = low <= value && value <= high ? "reproduced" : "differs";
    form.elements.value.value = value.toFixed(digits);
    const badge = form.querySelector(`template[data-verdict="${verdict}"]`).content.cloneNode(true);
    if (turning.textContent.trim() !== badge.textContent.trim()) turning.replaceChildren(badge);
  });
}

// ---- curves ----

const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#b8468f", "#a77b00", "#3d8fc4", "#7a5195", "#8c564b", "#555555", "#17807e"];

function label(text) {
  const made = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  made.append(box, text);
  return [made, box];
}

// The ends of an axis: no difference smaller than `least` fills it, as in the figures.
function spread(low, high, least) {
  if (low === null) return [0, 1];
  const short = Math.max(least - (high - low), 0) / 2;
  return uPlot.rangeNum(low - short, high + short, 0.1, true);
}

function chart(panel, caption) {
  const section = document.createElement("section");
  section.className = "chart";
  const title = [panel.title, panel.metric].filter((text, place, all) => text && all.indexOf(text) === place).join(": ");
  const heading = document.createElement("h3");
  heading.textContent = title || caption;
  const options = document.createElement("div");
  options.className = "options";
  const place = document.createElement("div");
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", `${caption} ${title}: curves by epoch; the figure's description and data are on this page.`);
  const read = document.createElement("p");
  read.className = "read";
  section.append(heading, place, read, options);

  const last = Math.max(...panel.series.map((one) => one.epoch.at(-1) || 0), 1);
  const epochs = Array.from({ length: last }, (_, index) => index + 1);
  const along = (one, values) => {
    const by = new Map(one.epoch.map((epoch, index) => [epoch, values[index]]));
    return epochs.map((epoch) => by.get(epoch) ?? null);
  };
  const labels = [...new Set(panel.series.map((one) => one.label))];
  const lone = labels.length === panel.series.length;
  const data = [epochs];
  const series = [{ label: "epoch" }];
  const groups = [];
  for (const one of panel.series) {
    const colour = one.color || COLOURS[labels.indexOf(one.label) % COLOURS.length];
    const dash = one.split === "train" && !lone ? [6, 4] : [];
    const name = one.label === one.split || lone ? one.label : `${one.label}, ${one.split === "train" ? "training" : one.split}`;
    const group = { name, colour, dashed: dash.length > 0, mean: series.length, runs: [] };
    series.push({ label: name, stroke: colour, width: 2, dash, points: { show: one.epoch.length < 3 } });
    const most = Math.max(...one.n, 1);
    const whole = one.mean.map((value, place) => (one.n[place] < most ? null : value));
    const rest = one.mean.map((value, place) => (one.n[Math.min(place + 1, one.n.length - 1)] < most ? value : null));
    data.push(along(one, whole));
    if (rest.some((value) => value !== null)) { // some seeds have stopped: what is left of the mean is pale
      group.tail = series.length;
      series.push({ label: `${name}, some seeds stopped`, stroke: `${colour}60`, width: 2, dash, points: { show: false } });
      data.push(along(one, rest));
    }
    const runs = Object.entries(one.runs);
    for (const [run, values] of runs.length > 1 ? runs : []) {
      group.runs.push(series.length);
      series.push({ label: run, stroke: `${colour}80`, width: 1, dash, show: false, points: { show: false } });
      data.push(epochs.map((epoch) => values[epoch - 1] ?? null));
    }
    groups.push(group);
  }
  for (const line of panel.lines) {
    const group = { name: `${line.label} ${line.value}`, colour: "#767676", dashed: true, mean: series.length, runs: [] };
    series.push({ label: group.name, stroke: group.colour, width: 2, dash: [2, 3], points: { show: false } });
    data.push(epochs.map(() => line.value));
    groups.push(group);
  }

  let plot = null;
  let logarithmic = false;
  const shown = new Map(groups.map((group) => [group, true]));
  let seeds = false;
  const draw = () => {
    plot?.destroy();
    const grid = { stroke: "#e3e6ea", width: 1 };
    const axis = { stroke: "#1b1f24", grid, ticks: grid }; // on white paper, as the figures
    plot = new uPlot({
      width: Math.max(place.clientWidth, 240),
      height: 300,
      series: series.map((one, index) => {
        const group = groups.find((each) => each.mean === index || each.tail === index || each.runs.includes(index));
        return group ? { ...one, show: shown.get(group) && (group.mean === index || group.tail === index || seeds) } : one;
      }),
      scales: { x: { time: false }, y: logarithmic ? { distr: 3 } : { range: (self, low, high) => spread(low, high, panel.least) } },
      axes: [{ ...axis, label: "epoch", labelSize: 20 }, { ...axis, size: 60 }],
      legend: { show: false },
      cursor: { drag: { x: true, y: false } },
      hooks: {
        setCursor: [(self) => {
          const at = self.cursor.idx;
          read.textContent = at === null || at === undefined ? "" : [`epoch ${epochs[at]}`, ...groups
            .filter((group) => shown.get(group) && data[group.mean][at] !== null)
            .map((group) => `${group.name} ${data[group.mean][at].toPrecision(4)}`)].join(" · ");
        }],
      },
    }, data, place);
  };
  for (const group of groups) {
    const [made, box] = label("");
    const swatch = document.createElement("span");
    swatch.className = group.dashed ? "swatch dashed" : "swatch";
    swatch.style.borderTopColor = group.colour;
    made.append(swatch, group.name);
    box.checked = true;
    box.addEventListener("change", () => { shown.set(group, box.checked); draw(); });
    options.append(made);
  }
  if (groups.some((group) => group.runs.length)) {
    const [made, box] = label("each seed");
    box.addEventListener("change", () => { seeds = box.checked; draw(); });
    options.append(made);
  }
  if (data.slice(1).flat().every((value) => value === null || value > 0)) {
    const [made, box] = label("logarithmic axis");
    box.addEventListener("change", () => { logarithmic = box.checked; draw(); });
    options.append(made);
  }
  let width = 0;
  new ResizeObserver(() => {
    if (place.clientWidth !== width) { width = place.clientWidth; draw(); }
  }).observe(place);
  return section;
}

function charts() {
  for (const box of document.querySelectorAll(".charts")) {
    const panels = JSON.parse(box.querySelector("script").textContent);
    box.append(...panels.map((panel) => chart(panel, box.dataset.caption)));
  }
}

copyButtons();
filters();
comparison();
slider();
charts();
