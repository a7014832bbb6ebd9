// The table of a search's trials.

import { element, pill } from "./element.js";
import { decimal, duration, latency, MEDIAN, METRICS, percent, short } from "./numbers.js";
import { latencyOn, metricOf } from "./scatter.js";
import { table } from "./table.js";
import { slowedTo } from "./trial.js";

export function trialsTable(reward, pick, { devices, objective: { metric } }) {
  const measured = (trial, name) => trial.measurement?.[name] ?? null;
  return table({
    label: "trials",
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
        fill: state,
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
        text: (trial) => percent(measured(trial, "accuracy")),
        value: (trial) => measured(trial, "accuracy"),
        hint: "on validation images",
      },
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
        text: (trial) => short(measured(trial, "mult_adds")),
        value: (trial) => measured(trial, "mult_adds"),
      },
      ...devices.map((device, place) => ({
        title: place ? `On ${device}` : "Latency",
        number: true,
        minor: true,
        text: (trial) => latency(latencyOn(trial, device)),
        value: (trial) => latencyOn(trial, device)?.median_ms ?? null,
        hint: `on ${device}: ${MEDIAN}; the middle half of all timings lies within the spread`,
      })),
      {
        title: "Parameters",
        number: true,
        minor: true,
        text: (trial) => short(measured(trial, "params")),
        value: (trial) => measured(trial, "params"),
      },
      { title: "Took", number: true, minor: true, text: (trial) => duration(took(trial)), value: took },
    ],
  });
}

const took = (trial) => (trial.ended_at === null ? null : trial.ended_at - trial.started_at);
const why = (trial) => trial.error ?? trial.measurement?.refused ?? purpose(trial);

// Which training of its network a trial is, where there are several, how it was slowed down, and what it began with.
function purpose(trial) {
  const rate = slowedTo(trial);
  const inherited = trial.measurement?.inherited ?? null;
  return [
    which(trial.job),
    rate && `at rate ${decimal(rate)}`,
    inherited !== null && `${Math.round(100 * inherited)} % inherited`,
  ]
    .filter(Boolean)
    .join(", ");
}

function which({ baseline, repeats, promotes, rung, whole }) {
  if (baseline) return `baseline ${baseline}`;
  if (whole && repeats === null && promotes === null) return "the parent, whole";
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

function state(cell, trial) {
  const words = why(trial);
  cell.replaceChildren(pill(trial.state), words && element("span", { class: "why", title: words }, words));
}
