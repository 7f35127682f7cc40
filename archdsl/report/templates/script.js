"use strict";
// Charts: the pointer, a finger or the arrow keys choose an epoch, whose values the legends of all charts show.
const charts = [...document.querySelectorAll("[data-epochs]")].map((figure) => {
  const svg = figure.querySelector("svg");
  const [left, right, low, high] = svg.dataset.x.split(" ").map(Number);
  const [bottom, top, least, most, log] = svg.dataset.y.split(" ").map(Number);
  const scaled = log ? Math.log10 : (value) => value;
  const lines = [...figure.querySelectorAll("[data-values]")].map((item, i) => ({
    values: item.dataset.values.split(" "),
    unit: item.dataset.unit,
    output: item.querySelector("output"),
    dot: svg.querySelectorAll(".cursor .dot")[i],
  }));
  return {
    svg,
    epochs: figure.dataset.epochs.split(" ").map(Number),
    cursor: svg.querySelector(".cursor"),
    title: figure.querySelector(".at"),
    x: (epoch) => left + ((epoch - low) / (high - low)) * (right - left),
    y: (value) => bottom + ((scaled(value) - scaled(least)) / (scaled(most) - scaled(least))) * (top - bottom),
    epochAt: (x) => low + ((x - left) / (right - left)) * (high - low),
    lines,
  };
});

function show(epoch) {
  for (const chart of charts) {
    let i = chart.epochs.findIndex((each) => each >= epoch);
    if (i < 0) i = chart.epochs.length - 1;
    chart.title.textContent = `epoch ${chart.epochs[i]}`;
    chart.cursor.removeAttribute("hidden");
    const rule = chart.cursor.querySelector(".rule");
    for (const end of ["x1", "x2"]) rule.setAttribute(end, chart.x(chart.epochs[i]));
    for (const { values, unit, output, dot } of chart.lines) {
      const value = values[i] ?? "–";
      const number = parseFloat(value.replaceAll(",", ""));
      output.textContent = Number.isNaN(number) ? value : value + unit;
      dot.toggleAttribute("hidden", !Number.isFinite(number));
      if (Number.isFinite(number)) {
        dot.setAttribute("cx", chart.x(chart.epochs[i]));
        dot.setAttribute("cy", chart.y(number));
      }
    }
  }
}

function rest() {
  const last = Math.max(...charts.map((chart) => chart.epochs.at(-1)));
  show(last);
  for (const chart of charts) chart.cursor.setAttribute("hidden", "");
}

for (const chart of charts) {
  const { svg, epochs } = chart;
  let at = epochs.length - 1;
  const choose = (i) => show(epochs[(at = Math.min(Math.max(i, 0), epochs.length - 1))]);
  const follow = (event) => {
    const box = svg.getBoundingClientRect();
    const epoch = chart.epochAt(((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width);
    let nearest = 0;
    epochs.forEach((each, i) => {
      if (Math.abs(each - epoch) < Math.abs(epochs[nearest] - epoch)) nearest = i;
    });
    choose(nearest);
  };
  svg.addEventListener("pointermove", follow);
  svg.addEventListener("pointerdown", follow);
  svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && rest());
  svg.addEventListener("blur", rest);
  svg.addEventListener("focus", () => svg.matches(":focus-visible") && choose(at));
  svg.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: epochs.length - 1, PageUp: at - 10, PageDown: at + 10 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    choose(moves[event.key]);
  });
}

// The table of layers: a scope's button folds the rows inside it.
for (const button of document.querySelectorAll(".fold")) {
  const row = button.closest("tr");
  const inside = [];
  for (let next = row.nextElementSibling; next && next.dataset.level > row.dataset.level; next = next.nextElementSibling) inside.push(next);
  button.hidden = false;
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    set(button, open);
    for (const each of inside) {
      each.hidden = !open;
      const inner = each.querySelector(".fold");
      if (inner && open) set(inner, true);
    }
  });
  if (row.hasAttribute("data-folded")) button.click();
}

function set(button, open) {
  button.setAttribute("aria-expanded", String(open));
  button.textContent = open ? "▾" : "▸";
}

// Paper shows everything.
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details")) each.open = true;
  for (const button of document.querySelectorAll('.fold[aria-expanded="false"]')) button.click();
});
