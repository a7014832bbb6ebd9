// The table of a search's trials.

import { latencyOn, metricOf } from "./columns.js";
import { element, pill } from "./element.js";
import { noise, noiseBadge } from "./noise.js";
import { decimal, duration, latency, MEDIAN, METRICS, percent, short } from "./numbers.js";
import { table } from "./table.js";

export function trialsTable(reward, pick, { devices, weights, objective: { metric, precision } }) {
  const why = (trial) => trial.remark ?? purpose(trial, weights === "shared");
  return table({
    label: "trials",
    addressed: true,
    key: (trial) => trial.number,
    empty: "No trial has begun yet.",
    sort: 0,
    descending: true,
    pick: (key) => pick(Number(key)),
    columns: [
      {
        title: "Trial",
        number: true,
        text: (trial) => String(trial.number),
        value: (trial) => trial.number,
        fill: number,
      },
      {
        title: "State",
        text: (trial) => `${trial.state} ${why(trial)}`,
        value: (trial) => trial.state,
        fill: (cell, trial) => state(cell, trial, why(trial)),
        wide: true,
      },
      ...(metric === "accuracy"
        ? []
        : [
            {
              title: METRICS[metric].title,
              number: true,
              text: (trial) => percent(metricOf(trial, metric)),
              value: (trial) => metricOf(trial, metric),
              hint: "what the search compares its networks by, on validation images",
            },
          ]),
      {
        title: "Accuracy",
        number: true,
        text: (trial) => percent(trial.accuracy),
        value: (trial) => trial.accuracy,
        hint: "on validation images",
      },
      ...(precision === "int8"
        ? [
            {
              title: "Single precision",
              number: true,
              text: (trial) => percent(trial.single_precision),
              value: (trial) => trial.single_precision,
              hint: "the accuracy on the same images before the network was quantised",
            },
          ]
        : []),
      {
        title: "Reward",
        number: true,
        text: (trial) => decimal(reward(trial)),
        value: reward,
        hint: "by the ranking chosen above",
      },
      {
        title: "Multiply-adds",
        number: true,
        text: (trial) => short(trial.mult_adds),
        value: (trial) => trial.mult_adds,
      },
      ...devices.map((device, place) => ({
        title: place ? `On ${device}` : "Latency",
        number: true,
        minor: true,
        text: (trial) => latency(latencyOn(trial, place)),
        fill: (cell, trial) => {
          const its = latencyOn(trial, place);
          cell.replaceChildren(latency(its), noiseBadge(its) || "");
        },
        value: (trial) => latencyOn(trial, place)?.median_ms ?? null,
        hint: `on ${device}: ${MEDIAN}`,
      })),
      {
        title: "Parameters",
        number: true,
        minor: true,
        text: (trial) => short(trial.params),
        value: (trial) => trial.params,
      },
      {
        title: "Took",
        number: true,
        minor: true,
        text: (trial) => duration(trial.seconds),
        value: (trial) => trial.seconds,
      },
    ],
  });
}

// Which training of its network a trial is, where there are several, how it was slowed down, and what it began with.
function purpose(trial, shared) {
  const { inherited, learning_rate } = trial;
  const rough = noise(latencyOn(trial, 0));
  return [
    rough && `latency ${rough}`,
    which(trial, shared),
    learning_rate && `at rate ${decimal(learning_rate)}`,
    inherited !== null && `${Math.round(100 * inherited)} % inherited`,
  ]
    .filter(Boolean)
    .join(", ");
}

function which({ role, baseline, repeats, promotes, rung, whole }, shared) {
  if (role === "supernet") return "supernet";
  if (baseline) return `baseline ${baseline}`;
  if (whole && repeats === null && promotes === null) return "the parent, whole";
  if (role === "measured") return `latency of ${repeats} again`;
  if (shared && rung === 0) return "shared weights";
  if (repeats !== null) return `trial ${repeats} again`;
  if (rung === null) return "";
  return promotes === null ? `rung ${rung + 1}` : `rung ${rung + 1} after ${promotes}`;
}

function number(cell, trial) {
  cell.replaceChildren(
    element(
      "button",
      { type: "button", class: "link", "aria-label": `Show trial ${trial.number}` },
      String(trial.number),
    ),
  );
}

function state(cell, trial, words) {
  cell.replaceChildren(pill(trial.state), words && element("span", { class: "why", title: words }, words));
}
