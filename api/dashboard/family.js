// A family as a table and as a chart of accuracy over multiply-adds.

import { costly, linear } from "./axis.js";
import { element, pill, svg } from "./element.js";
import { useIt } from "./files.js";
import { ends, frame } from "./frame.js";
import { accuracy, brief, duration, MEDIAN, METRICS, milliseconds, short } from "./numbers.js";
import { points } from "./points.js";
import { saving } from "./saving.js";
import { table } from "./table.js";

// What members are compared by.
export const scored = (row) => row.accuracy ?? row.test_accuracy;

const TITLES = { test: "Test accuracy", validation: "Validation accuracy", both: "Validation accuracy" };
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
            minor: scored_on === "both",
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
      ...devices.map((device, place) => ({
        title: place ? `On ${device}` : "Latency",
        number: true,
        minor: true,
        text: (row) => `${milliseconds(row.latencies_ms[device])}${place ? "" : times(row, spec)}`,
        hint: `on ${device}: ${MEDIAN}`,
      })),
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
      { title: "Checkpoint", text: (row) => row.model ?? "–", fill: download, below: own(spec) },
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
  if (note(row)) parts.push(element("span", { class: "why", title: note(row) }, note(row)));
  if (row.state === "running" && row.progress?.epochs) {
    parts.push(element("span", { class: "why" }, `epoch ${row.progress.epoch} of ${row.progress.epochs}`));
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

export function familyChart() {
  let [rows, title, name] = [[], TITLES.test, "family"];
  const chart = frame({
    label: "Accuracy over multiply-adds. Arrow keys walk from member to member.",
    height: 320,
    redraw: draw,
  });
  const lines = svg("g");
  const bars = svg("path", { class: "error-bars side-1" });
  const names = svg("g", { class: "names" });
  chart.root.insertBefore(svg("g", {}, lines, bars), chart.marks);
  chart.over.append(names);
  const showPoints = points(chart, null);
  const note = element("p", { class: "chart-note muted" }, "No member has been scored yet.");
  chart.node.append(note);

  function draw() {
    const tested = rows.filter((row) => scored(row) !== null);
    note.hidden = tested.length > 0;
    const { area } = chart;
    const [least, most] = ends((tested.length ? tested : rows).map((row) => row.mult_adds ?? 1));
    const x = costly(0.9 * least, 1.1 * most, area.left + 8, area.right - 24);
    const reach = (row) => [scored(row) - (row.accuracy_error ?? 0), scored(row) + (row.accuracy_error ?? 0)];
    const y = linear(...ends(tested.flatMap(reach)), area.bottom - 8, area.top + 12);
    chart.axes(
      x,
      y,
      { x: "Multiply-adds", y: title },
      { x: brief, y: (value) => `${Number((100 * value).toFixed(2))} %` },
    );
    const placed = tested.map((row) => ({
      key: row.member,
      x: x.at(row.mult_adds),
      y: y.at(scored(row)),
      radius: 6,
      class: "point front",
      title: row.member,
      way: row.way,
      rows: [
        [title, accuracy(scored(row), row.accuracy_error)],
        ["Seeds", String(row.seeds)],
        ["Tied with", row.tied_with.join(", ") || "–"],
        ["Parameters", short(row.params)],
        ["Multiply-adds", short(row.mult_adds)],
      ],
    }));
    showPoints(placed);
    const bar = (row) =>
      `M${x.at(row.mult_adds).toFixed(1)},${reach(row)
        .map((end) => y.at(end).toFixed(1))
        .join(" V")}`;
    bars.setAttribute(
      "d",
      tested
        .filter((row) => row.accuracy_error)
        .map(bar)
        .join(" "),
    );
    // A line for each way to scale, all from the network itself; factors that a fit compares are no line.
    const base = placed.find((each) => each.key === "B0");
    const ways = [...new Set(placed.map((each) => each.way))].filter((way) => way);
    const along = (way) => [...new Set([...(base ? [base] : []), ...placed.filter((each) => each.way === way)])];
    lines.replaceChildren(
      ...ways.map((way) =>
        svg("path", {
          class: `front-line ${way}`,
          d: along(way)
            .map((each, index) => `${index ? "L" : "M"}${each.x.toFixed(1)},${each.y.toFixed(1)}`)
            .join(""),
        }),
      ),
    );
    const ended = ways.length > 1 ? ways.map((way) => ({ ...along(way).at(-1), key: way })) : placed;
    names.replaceChildren(
      ...ended
        .filter((each) => each.way)
        .map((each) => svg("text", { x: each.x, y: each.y - 13, "text-anchor": "middle" }, each.key)),
    );
  }

  const COLUMNS = ["member", "state", "accuracy", "test_accuracy", "accuracy_error", "mult_adds", "params", "seeds"];
  const saved = saving(
    chart.root,
    () => name,
    () => [COLUMNS, ...rows.map((row) => COLUMNS.map((column) => row[column]))],
  );

  return {
    node: element("div", {}, chart.node, saved),
    show(family, { scored_on }, run) {
      [rows, title, name] = [family, TITLES[scored_on], run];
      draw();
    },
  };
}
