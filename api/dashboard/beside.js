// The tables of a comparison: figures of the networks, and in what they and their requests differ.

import { element } from "./element.js";
import { accuracy, bytes, decimal, duration, METRICS, milliseconds, percent, short } from "./numbers.js";

const TINTED = "Tinted: not as the first has it.";
const SHARE = "Share of the front: of the area that all have together, down to a tenth of the front beyond its ends.";

export function beside() {
  const node = element("div", { class: "beside" });
  let before = "";

  return {
    node,
    show(sides, answer) {
      const now = JSON.stringify([sides, answer.knobs, answer.requests]);
      if (now === before) return;
      before = now;
      const { knobs, knobs_alike, requests } = answer;
      const alike = knobs_alike ? ` (${knobs_alike} are alike)` : "";
      const several = sides.length > 1;
      node.replaceChildren(
        card("The networks", "figures", sides, figures(sides, answer), SHARE),
        ...(several && Object.keys(knobs).length
          ? [card(`Knobs that differ${alike}`, "knobs", sides, Object.entries(knobs), TINTED)]
          : []),
        ...(several && Object.keys(requests).length
          ? [card("What was asked for differently", "requests", sides, Object.entries(requests), TINTED)]
          : []),
      );
    },
  };
}

function figures(sides, { device, objective: { metric } }) {
  const of = (show) => sides.map(({ network }) => (network ? show(network) : "–"));
  const last = (show) => sides.map(({ progress }) => (progress.length ? show(progress.at(-1)) : "–"));
  return [
    ["Scored on", sides.map(({ scored_on: images }) => `${images} images`)],
    ...(metric === "accuracy" ? [] : [[METRICS[metric].title, of((row) => accuracy(row.value, row.value_error))]]),
    ["Accuracy", of((row) => accuracy(row.accuracy, row.accuracy_error))],
    [
      "Cannot be told apart from",
      sides.map(({ tied_with: tied }) => tied.map((place) => sides[place].short).join(", ") || "–"),
    ],
    ["Multiply-adds", of((row) => short(row.mult_adds))],
    [`Latency on ${device}`, of((row) => milliseconds(row.latencies_ms[device]))],
    ["Parameters", of((row) => short(row.params))],
    ["Peak memory", of((row) => bytes(row.peak_memory))],
    ["Reward", of((row) => decimal(row.reward))],
    ["Trainings", of((row) => String(row.trainings))],
    ["Networks compared", last((step) => step.networks.toLocaleString("en"))],
    ["Compute", last((step) => duration(step.seconds))],
    ["Share of the front", last((step) => percent(step.share, 0))],
  ];
}

function card(title, label, sides, rows, remark) {
  const heads = sides.map((side) =>
    element("th", { scope: "col", class: "number", title: side.name }, `${side.short} ${side.name}`),
  );
  const body = rows.map(([name, values]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, name),
      ...values.map((value) => {
        const apart = remark === TINTED && value !== null && JSON.stringify(value) !== JSON.stringify(values[0]);
        return element("td", { class: apart ? "number apart" : "number" }, shown(value));
      }),
    ),
  );
  const grid = element(
    "table",
    { "aria-label": label },
    element("thead", {}, element("tr", {}, element("td"), ...heads)),
    element("tbody", {}, ...body),
  );
  return element(
    "section",
    { class: "card" },
    element("h2", {}, title),
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title }, grid),
    element("p", { class: "muted left-out" }, remark),
  );
}

function shown(value) {
  if (value === null) return "–";
  if (typeof value === "number") return Math.abs(value) >= 1000 ? short(value) : String(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}
