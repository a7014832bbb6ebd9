// The page of a benchmark.

import { get, home } from "./api.js";
import { element, pill } from "./element.js";
import { events } from "./events.js";
import { ended, heading } from "./heading.js";
import { noise, noiseBadge } from "./noise.js";
import { latency, MEDIAN, milliseconds, short } from "./numbers.js";
import { table } from "./table.js";

export function benchmarkPage(page, again, id) {
  const top = heading("benchmark", id, again);
  const list = latencyTable();
  const log = events("benchmark", id);
  page.replaceChildren(
    top.node,
    element("section", { class: "card" }, element("h2", {}, "Latencies"), list.node),
    log.node,
  );

  return async function refresh(signal) {
    const run = await get(home("benchmark", id), signal);
    top.show(run, { facts: facts(run.spec), objective: what(run.spec) });
    list.show(
      run.networks.flatMap((network, index) => network.readings.map((reading) => ({ ...network, ...reading, index }))),
    );
    await log.refresh(signal);
    return ended(run);
  };
}

function latencyTable() {
  return table({
    label: "latencies",
    key: (row) => `${row.index} ${row.device}`,
    empty: "Nothing is measured yet.",
    stacked: true,
    columns: [
      { title: "Network", text: (row) => String(row.index), value: (row) => row.index },
      { title: "Device", text: (row) => row.device, value: (row) => row.device },
      {
        title: "Latency",
        number: true,
        named: true,
        text: (row) => latency(row.latency),
        fill: (cell, row) => cell.replaceChildren(latency(row.latency), noiseBadge(row.latency) || ""),
        value: (row) => row.latency?.median_ms ?? null,
        hint: MEDIAN,
      },
      { title: "State", text: (row) => `${row.state} ${why(row)}`, value: (row) => row.state, fill: state, wide: true },
      {
        title: "95 %",
        number: true,
        minor: true,
        text: (row) => milliseconds(row.latency?.p95_ms),
        value: (row) => row.latency?.p95_ms ?? null,
        hint: "of the timings took no longer",
      },
      {
        title: "Ratio",
        number: true,
        minor: true,
        text: (row) => row.latency?.ratio?.toPrecision(3) ?? "–",
        value: (row) => row.latency?.ratio ?? null,
        hint: "to a yardstick that ran in turns with this one",
      },
      { title: "Parameters", number: true, minor: true, text: (row) => short(row.params), value: (row) => row.params },
      {
        title: "Multiply-adds",
        number: true,
        minor: true,
        text: (row) => short(row.mult_adds),
        value: (row) => row.mult_adds,
      },
    ],
  });
}

const why = (row) => row.error ?? noise(row.latency) ?? slower(row.latency?.slowdown);
const slower = (slowdown) =>
  slowdown > 1.05 ? `while the machine took ${slowdown.toFixed(2)} times as long as at best` : "";

function state(cell, row) {
  cell.replaceChildren(pill(row.state), why(row) && element("span", { class: "why", title: why(row) }, why(row)));
}

function facts({ images, devices, parallel }) {
  const { resolution, channels, classes } = images;
  return [`${resolution} × ${resolution} × ${channels}, ${classes} classes`, ...devices, `${parallel} at once`].join(
    " · ",
  );
}

function what({ architecture, published, model, networks, space }) {
  if (!architecture) return `${networks} networks of space ${space}, drawn at random, are measured and not trained.`;
  const name = published ?? (model ? `Model ${model}` : "A network of your own");
  return `${name} is measured and not trained.`;
}
