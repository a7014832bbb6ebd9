// The scatter of a search: accuracy against cost, the Pareto front as a step line, the best trial as a star.

import { costly, linear } from "./axis.js";
import { element, say, svg } from "./element.js";
import { ends, frame } from "./frame.js";
import { COSTS, METRICS, percent, short } from "./numbers.js";
import { points } from "./points.js";

const STAR = "M0,-11 L3.1,-3.9 10.5,-3.4 4.9,1.5 6.6,8.9 0,5 -6.6,8.9 -4.9,1.5 -10.5,-3.4 -3.1,-3.9Z";

export function scatter(pick) {
  let drawn = null;
  const chart = frame({
    label: "Accuracy against cost. Arrow keys walk from trial to trial, Enter selects one.",
    height: 460,
    redraw: () => drawn && draw(),
  });
  const target = svg("line", { class: "target" });
  const targetText = svg("text", { class: "target-text" });
  const contour = svg("path", { class: "contour" });
  const step = svg("path", { class: "front-line" });
  const star = svg("path", { class: "star", d: STAR });
  chart.root.insertBefore(svg("g", {}, target, targetText, contour, step), chart.marks);
  chart.over.append(star);
  const showPoints = points(chart, (key) => pick(Number(key)));
  const names = svg("g", { class: "names" });
  chart.over.append(names);
  const note = element("p", { class: "chart-note muted" }, "No trial has been measured yet.");
  const legend = element(
    "p",
    { class: "legend" },
    ...[
      ["front", "Pareto front"],
      ["other", "other trials"],
      ["best", "best reward"],
      ["equal", "equal reward"],
      ["parent", "the parent, whole"],
      ["goal", "target"],
    ].map(([name, words]) => element("span", { class: `key ${name}` }, words)),
    element("span", {}, "area of a point: parameters"),
  );
  const parentKey = legend.querySelector(".parent");
  chart.node.append(note);

  function draw() {
    const { trials, networks, pareto, selected } = drawn;
    // A network that was trained several times lies where its means are.
    const costAt = (trial) => networks.get(trial.number)?.cost ?? costOf(trial, cost, pareto.device);
    const height = (trial) => networks.get(trial.number)?.value ?? metricOf(trial, metric);
    const { cost, target: goal, metric } = pareto.objective;
    const measured = trials.filter((trial) => metricOf(trial, metric) !== null && costAt(trial) !== null);
    note.hidden = measured.length > 0;
    const { area } = chart;
    const [least, most] = ends(measured.map(costAt));
    const reach = measured.length
      ? [Math.min(least, goal > least / 2 ? goal : least), Math.max(most, goal < 2 * most ? goal : most)]
      : [goal / 10, goal * 2];
    const pixels = area.right - area.left;
    const x = costly(reach[0], reach[1], area.left + 8, area.right - 8, Math.max(3, Math.round(pixels / 90)));
    const y = linear(...ends(measured.map(height)), area.bottom - 8, area.top);
    chart.axes(
      x,
      y,
      { x: COSTS[cost].title, y: metric === "accuracy" ? "Validation accuracy" : METRICS[metric].title },
      { x: COSTS[cost].brief, y: (value) => `${Number((100 * value).toFixed(2))} %` },
    );

    parentKey.hidden = !measured.some((trial) => trial.job.whole);
    const unbeaten = new Set(pareto.front.map((row) => row.number));
    const [fewest, largest] = ends(measured.map((trial) => trial.measurement.params));
    const fine = measured.length > 1000 ? 1.5 : 3; // pixels
    showPoints(
      measured.map((trial) => ({
        key: String(trial.number),
        x: x.at(costAt(trial)),
        y: y.at(height(trial)),
        radius:
          fine +
          2 * fine * Math.sqrt(largest > fewest ? (trial.measurement.params - fewest) / (largest - fewest) : 0.2),
        class: [
          "point",
          unbeaten.has(trial.number) && "front",
          trial.job.whole && "parent",
          trial.number === selected && "selected",
        ]
          .filter(Boolean)
          .join(" "),
        title: name(trial) ?? `Trial ${trial.number}`,
        rows: [
          [METRICS[metric].title, percent(height(trial))],
          [COSTS[cost].title, COSTS[cost].show(costAt(trial))],
          ["Parameters", short(trial.measurement.params)],
        ],
      })),
    );

    names.replaceChildren(
      ...measured.filter(name).map((trial) => {
        const [px, py] = [x.at(costAt(trial)), y.at(height(trial))];
        const right = px > (area.left + area.right) / 2;
        const place = { x: px + (right ? -12 : 12), y: py + 4, "text-anchor": right ? "end" : "start" };
        return svg("text", { class: "name", ...place }, name(trial));
      }),
    );

    const line = pareto.front.map((row, index) => {
      const [px, py] = [x.at(row.cost).toFixed(1), y.at(row.value).toFixed(1)];
      return index ? `H${px} V${py}` : `M${px},${area.bottom} V${py}`;
    });
    // With a second cost the front is no line in this plane: its points alone show it.
    step.setAttribute("d", pareto.front.length && !pareto.objective.also ? `${line.join(" ")} H${area.right}` : "");
    mark(pareto, x, y, area);
  }

  function mark({ objective, best }, x, y, area) {
    const inside = objective.target >= x.low && objective.target <= x.high;
    for (const node of [target, targetText]) node.setAttribute("visibility", inside ? "visible" : "hidden");
    if (inside) {
      const at = x.at(objective.target);
      for (const [name, value] of Object.entries({ x1: at, x2: at, y1: area.top - 6, y2: area.bottom }))
        target.setAttribute(name, value);
      const right = at > area.right - 110;
      targetText.setAttribute("x", at + (right ? -6 : 6));
      targetText.setAttribute("y", area.bottom - 8);
      targetText.setAttribute("text-anchor", right ? "end" : "start");
      say(targetText, `target ${COSTS[objective.cost].brief(objective.target)}`);
    }
    star.setAttribute("visibility", best ? "visible" : "hidden");
    if (best) star.setAttribute("transform", `translate(${x.at(best.cost).toFixed(1)} ${y.at(best.value).toFixed(1)})`);
    contour.setAttribute("d", best ? equal(objective, best.reward, x, y, area) : "");
  }

  return {
    node: element("div", {}, chart.node, legend),
    show(given) {
      drawn = given;
      draw();
    },
  };
}

// Where a trial would have to lie to be worth as much as the best one.
function equal(objective, reward, x, y, area) {
  const parts = [];
  let pen = "M";
  const least = Math.max(x.low, x.high / 1e4);
  for (let index = 0; index <= 120; index++) {
    const cost = least * (x.high / least) ** (index / 120);
    const [factor, offset] = terms(objective, cost);
    const at = y.at((reward - offset) / factor);
    if (at < area.top - 8 || at > area.bottom) pen = "M";
    else {
      parts.push(`${pen}${x.at(cost).toFixed(1)},${at.toFixed(1)}`);
      pen = "L";
    }
  }
  return parts.join("");
}

// The reward as in nas/objective.py: only to draw, and to fill the table's column after a re-ranking.
export function worth(objective, value, cost) {
  const [factor, offset] = terms(objective, cost);
  return value * factor + offset;
}

function terms({ form, target, w_under, w_over }, cost) {
  const w = cost <= target ? w_under : w_over;
  return form === "absolute" ? [1, w * Math.abs(cost / target - 1)] : [(cost / target) ** w, 0];
}

// What a point is called, where it is no network of the searcher's own.
const name = (trial) => trial.job.baseline ?? (trial.job.whole ? "parent" : null);

// What a metric is of a trial; null also where an older version did not record it.
export function metricOf({ measurement }, metric) {
  return (metric === "accuracy" ? measurement?.accuracy : measurement?.quality?.[metric]) ?? null;
}

export const latencyOn = (trial, device) => trial.measurement?.latencies[device] ?? null;

export function costOf(trial, cost, device) {
  if (cost === "latency_ms") return latencyOn(trial, device)?.median_ms ?? null;
  return trial.measurement?.[cost] ?? null;
}
