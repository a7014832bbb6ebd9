// The scatter of a search: accuracy against cost, the Pareto front as a step line, the best trial as a star.

import { costly, linear } from "./axis.js";
import { costOf, latencyOn, metricOf } from "./columns.js";
import { element, say, svg } from "./element.js";
import { ends, frame } from "./frame.js";
import { goal } from "./goal.js";
import { latencyOf, noise, rough } from "./noise.js";
import { COSTS, METRICS, percent, short } from "./numbers.js";
import { bound } from "./objective.js";
import { points } from "./points.js";
import { terms } from "./reward.js";

const STAR = "M0,-11 L3.1,-3.9 10.5,-3.4 4.9,1.5 6.6,8.9 0,5 -6.6,8.9 -4.9,1.5 -10.5,-3.4 -3.1,-3.9Z";

export function scatter(pick, aimed) {
  let [drawn, before, measured] = [null, [], []];
  const chart = frame({
    label: "Accuracy against cost. Arrow keys walk from trial to trial, Enter selects one.",
    height: 460,
    redraw: () => drawn && draw(),
  });
  const contour = svg("path", { class: "contour" });
  const step = svg("path", { class: "front-line" });
  const bars = svg("path", { class: "front-bars" });
  const star = svg("path", { class: "star", d: STAR, visibility: "hidden" });
  chart.root.insertBefore(svg("g", {}, contour, step, bars), chart.marks);
  chart.over.append(star);
  const line = goal(chart, aimed);
  const spots = points(chart, (key) => pick(Number(key)));
  const names = svg("g", { class: "names" });
  chart.over.append(names);
  const note = element("p", { class: "chart-note muted" }, "Reading the trials…");
  const legend = element(
    "p",
    { class: "legend" },
    ...[
      ["front", "Pareto front"],
      ["other", "other trials"],
      ["rough", "noisy latency"],
      ["best", "best reward"],
      ["equal", "equal reward"],
      ["parent", "the parent, whole"],
      ["goal", "target: drag it"],
    ].map(([name, words]) => element("span", { class: `key ${name}` }, words)),
    element("span", {}, "area of a point: parameters"),
  );
  const [parentKey, roughKey, goalKey] = [".parent", ".rough", ".goal"].map((key) => legend.querySelector(key));
  chart.node.append(note);

  function draw() {
    const { trials, pareto, answer, place, selected } = drawn;
    const { cost, target, metric } = pareto.objective;
    const asked = [trials, answer, cost, metric, place];
    if (asked.some((part, index) => part !== before[index])) measured = measuredOf(drawn);
    say(note, "No trial has been measured yet.");
    note.hidden = measured.length > 0;
    const { area } = chart;
    const [least, most] = ends(measured.map(({ at }) => at));
    const near = bound(pareto.objective) && target > least / 2 && target < 2 * most ? target : least;
    const reach = measured.length ? [Math.min(least, near), Math.max(most, near)] : [target / 10, target * 2];
    const pixels = area.right - area.left;
    const [, , shown, , , right] = before;
    const held = area.right === right && cost === shown ? line.axis() : null;
    const x = held ?? costly(reach[0], reach[1], area.left + 8, area.right - 8, Math.max(3, Math.round(pixels / 90)));
    const y = linear(...ends(measured.map(({ value }) => value)), area.bottom - 8, area.top);
    chart.axes(
      x,
      y,
      { x: COSTS[cost].title, y: metric === "accuracy" ? "Validation accuracy" : METRICS[metric].title },
      { x: COSTS[cost].brief, y: (value) => `${Number((100 * value).toFixed(2))} %` },
    );

    // Another target moves the star alone.
    const now = [...asked, area.right, ...[x, y].flatMap(({ low, high }) => [low, high])];
    if (now.some((part, index) => part !== before[index])) plot(x, y);
    before = now;
    spots.choose(String(selected));

    const stairs = pareto.front.map((row, index) => {
      const [px, py] = [x.at(row.cost).toFixed(1), y.at(row.value).toFixed(1)];
      return index ? `H${px} V${py}` : `M${px},${area.bottom} V${py}`;
    });
    // Two standard errors of a latency to either side, where they are known.
    const errors = pareto.front.flatMap((row) => {
      const error = cost === "latency_ms" ? row.latency_errors_ms[pareto.device] : null;
      return error ? [[row, 2 * error]] : [];
    });
    const bar = ([{ cost: at, value }, error]) => {
      const [low, high] = [Math.max(at - error, x.low), Math.min(at + error, x.high)];
      return `M${x.at(low).toFixed(1)},${y.at(value).toFixed(1)} H${x.at(high).toFixed(1)}`;
    };
    bars.setAttribute("d", errors.map(bar).join(" "));
    // With a second cost the front is no line in this plane: its points alone show it.
    step.setAttribute("d", pareto.front.length && !pareto.objective.also ? `${stairs.join(" ")} H${area.right}` : "");
    mark(pareto, x, y, area);
  }

  function plot(x, y) {
    const { pareto } = drawn;
    const { cost, metric } = pareto.objective;
    const { area } = chart;
    roughKey.hidden = !measured.some(({ noisy }) => noisy);
    parentKey.hidden = !measured.some(({ trial }) => trial.whole);
    const unbeaten = new Set(pareto.front.map((row) => row.number));
    const [fewest, largest] = ends(measured.map(({ trial }) => trial.params));
    const fine = measured.length > 1000 ? 1.5 : 3; // pixels
    const classOf = ({ number, whole }, noisy) =>
      ["point", unbeaten.has(number) && "front", whole && "parent", noisy && "rough"].filter(Boolean).join(" ");
    spots.show(
      measured.map(({ trial, at, value, noisy }) => ({
        key: String(trial.number),
        x: x.at(at),
        y: y.at(value),
        radius: fine + 2 * fine * Math.sqrt(largest > fewest ? (trial.params - fewest) / (largest - fewest) : 0.2),
        class: classOf(trial, noisy),
        hollow: Boolean(noisy),
        title: name(trial) ?? `Trial ${trial.number}`,
        // Of all the points one at a time is pointed at.
        get rows() {
          return [
            [METRICS[metric].title, percent(value)],
            [COSTS[cost].title, COSTS[cost].show(at)],
            ["Parameters", short(trial.params)],
            ...(noisy ? [["Noisy", noise(noisy)]] : []),
          ];
        },
      })),
    );
    names.replaceChildren(
      ...measured
        .filter(({ trial }) => name(trial))
        .map(({ trial, at, value }) => {
          const [px, py] = [x.at(at), y.at(value)];
          const right = px > (area.left + area.right) / 2;
          const spot = { x: px + (right ? -12 : 12), y: py + 4, "text-anchor": right ? "end" : "start" };
          return svg("text", { class: "name", ...spot }, name(trial));
        }),
    );
  }

  function mark({ objective, best }, x, y, area) {
    const chooses = bound(objective);
    goalKey.hidden = !chooses;
    line.show(objective, x, chooses);
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
    // Of what is not to come.
    without: (words) => say(note, words),
  };
}

// Those that can be placed. A network that was trained several times lies where its means are.
function measuredOf({ trials, networks, pareto: { objective, device }, place }) {
  const { cost, metric } = objective;
  const found = [];
  for (const trial of trials) {
    const known = networks.get(trial.number);
    const at = known?.cost ?? costOf(trial, cost, place);
    const value = known?.value ?? metricOf(trial, metric);
    if (at === null || value === null) continue;
    const its = cost === "latency_ms" ? (known ? latencyOf(known, device) : latencyOn(trial, place)) : null;
    found.push({ trial, at, value, noisy: rough(its) ? its : null });
  }
  return found;
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

// What a point is called, where it is no network of the searcher's own.
const name = (trial) => trial.baseline ?? (trial.whole ? "parent" : null);
