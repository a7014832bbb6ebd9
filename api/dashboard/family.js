// A family as a table.

import { element, pill } from "./element.js";
import { useIt } from "./files.js";
import { latencyOf, noiseBadge } from "./noise.js";
import { accuracy, duration, MEDIAN, METRICS, milliseconds, short } from "./numbers.js";
import { table } from "./table.js";

// What members are compared by.
export const scored = (row) => row.accuracy ?? row.test_accuracy;

export const TITLES = { test: "Test accuracy", validation: "Validation accuracy", both: "Validation accuracy" };
const ERROR =
  "± its standard error: of the spread over seeds where there are several, otherwise of the number of images";

// Members that only their names tell apart are those of the published table.
const own = ({ members }) => members.some((name) => !/^B\d$/.test(name));

export function familyTable(spec) {
  const { devices, scored_on, inherit, parent, metric, precision } = spec;
  const scores = [
    ...(metric === "accuracy"
      ? []
      : [
          {
            title: METRICS[metric].title,
            number: true,
            named: true,
            text: (row) => accuracy(row.value, row.value_error),
            hint: "what members are compared by, as the networks of their search were",
          },
        ]),
    ...(scored_on === "test"
      ? []
      : [
          {
            title: TITLES.validation,
            number: true,
            named: true,
            text: (row) => accuracy(row.accuracy, row.accuracy_error),
            ...(own(spec) && { value: (row) => row.accuracy }),
            hint: ERROR,
          },
        ]),
    ...(scored_on === "validation"
      ? []
      : [
          {
            title: TITLES.test,
            number: true,
            named: true,
            text: (row) => accuracy(row.test_accuracy, row.test_error),
            ...(own(spec) && scored_on === "test" && { value: (row) => row.test_accuracy }),
            hint: ERROR,
          },
        ]),
  ];
  return table({
    label: "family",
    key: (row) => row.member,
    stacked: true,
    tight: true,
    empty: "This growth has no members.",
    columns: [
      { title: "Member", text: (row) => row.member, wide: own(spec) },
      { title: "State", text: (row) => JSON.stringify([row.state, note(row), row.progress]), fill: state },
      ...(own(spec) ? scores : []), // what they are there to compare, before what is many
      { title: "Resolution", number: true, minor: true, text: (row) => `${row.resolution ?? "–"} px` },
      ...(own(spec)
        ? [
            {
              title: "Scaled by",
              minor: true,
              text: scaled,
              hint: "the factors on depth, width and resolution, where they are not 1",
            },
          ]
        : []),
      { title: "Parameters", number: true, minor: true, text: (row) => short(row.params) },
      {
        title: "Multiply-adds",
        number: true,
        minor: true,
        text: (row) => `${short(row.mult_adds)}${own(spec) && row.times ? ` (×${row.times.toFixed(2)})` : ""}`,
        hint: "of one image; in brackets as a multiple of the network's that is grown",
      },
      ...devices.map((device, place) => {
        const text = (row) => `${milliseconds(row.latencies_ms[device])}${place ? "" : times(row, spec)}`;
        return {
          title: place ? `On ${device}` : "Latency",
          number: true,
          minor: place > 0,
          named: place === 0,
          text: (row) => JSON.stringify([text(row), row.latency_errors_ms[device]]),
          fill: (cell, row) => cell.replaceChildren(text(row), noiseBadge(latencyOf(row, device)) || ""),
          hint: `on ${device}: ${MEDIAN}`,
        };
      }),
      ...(own(spec) ? [] : scores),
      ...(precision === "int8"
        ? [
            {
              title: "Single precision",
              number: true,
              minor: true,
              text: (row) => accuracy(row.rounding?.float32 ?? null, null),
              hint: "the accuracy on the same images before the network was quantised, of its first training",
            },
          ]
        : []),
      { title: "Seeds", number: true, minor: true, text: (row) => (row.seeds ? String(row.seeds) : "–") },
      {
        title: "Tied with",
        minor: true,
        told: (rows) => rows.some((row) => row.tied_with.length),
        text: (row) => row.tied_with.join(", ") || "–",
        hint: "members whose accuracy is no farther away than chance alone would often bring it",
      },
      ...(inherit || parent
        ? [
            {
              title: "Inherited",
              number: true,
              minor: true,
              text: (row) => accuracy(row.inherited, null),
              hint: "the part of its parameters that it began with from a parent, or the member before",
            },
          ]
        : []),
      { title: "Took", number: true, minor: true, text: (row) => duration(row.seconds) },
      { title: "Checkpoint", text: (row) => row.model ?? "–", fill: download, named: true },
    ],
  });
}

// Of a fit to latency.
const times = ({ latency_times }, { fit }) =>
  fit?.cost === "latency_ms" && latency_times ? ` (×${latency_times.toFixed(2)})` : "";

function scaled({ scale, also }) {
  if (!scale) return "–";
  const parts = ["depth", "width", "resolution"].filter((name) => scale[name] !== 1);
  const words = parts.map((name) => `${name} ${factor(scale[name])}`).join(", ") || "nothing";
  return also.length ? `${words}; as ${also.join(", ")}` : words;
}

// Depth rises by a block in every stage as soon as its factor is over 1.
function factor(value) {
  const rounded = Number(value.toPrecision(3));
  if (rounded !== 1) return rounded;
  return value > 1 ? "just over 1" : "just under 1";
}

const note = (row) => row.error ?? row.skipped ?? (row.dominated_by ? `no better than ${row.dominated_by}` : null);

function state(cell, row) {
  const parts = [pill(row.state)];
  if (note(row)) parts.push(element("span", { class: "why under", title: note(row) }, note(row)));
  if (row.state === "running" && row.progress?.epochs) {
    parts.push(element("span", { class: "why under" }, `epoch ${row.progress.epoch} of ${row.progress.epochs}`));
  }
  cell.replaceChildren(...parts);
}

export function download(cell, row) {
  const id = row.model ?? row.id;
  if (!id) return cell.replaceChildren("–");
  cell.replaceChildren(
    element("a", { href: `v1/models/${encodeURIComponent(id)}/checkpoint`, download: "" }, "Download"),
    " ",
    element("button", { type: "button", class: "quiet", click: () => useIt(id) }, "Use it"),
  );
}
