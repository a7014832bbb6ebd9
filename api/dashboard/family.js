// A family as a table and as a chart of accuracy over parameters.

import { costly, linear } from "./axis.js";
import { element, pill, svg } from "./element.js";
import { useIt } from "./files.js";
import { ends, frame } from "./frame.js";
import { accuracy, brief, duration, MEDIAN, METRICS, milliseconds, short } from "./numbers.js";
import { points } from "./points.js";
import { table } from "./table.js";

export const scored = (row) => row.test_accuracy ?? row.accuracy;

const TITLES = { test: "Test accuracy", validation: "Validation accuracy" };

export function familyTable({ devices, scored_on, inherit, metric }) {
  return table({
    label: "family",
    key: (row) => row.member,
    stacked: true,
    empty: "This growth has no members.",
    columns: [
      { title: "Member", text: (row) => row.member },
      { title: "State", text: (row) => JSON.stringify([row.state, row.error, row.progress]), fill: state },
      { title: "Resolution", number: true, minor: true, text: (row) => `${row.resolution} px` },
      { title: "Parameters", number: true, minor: true, text: (row) => short(row.params) },
      { title: "Multiply-adds", number: true, minor: true, text: (row) => short(row.mult_adds) },
      ...devices.map((device, place) => ({
        title: place ? `On ${device}` : "Latency",
        number: true,
        minor: true,
        text: (row) => milliseconds(row.latencies_ms[device]),
        hint: `on ${device}: ${MEDIAN}`,
      })),
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
      {
        title: TITLES[scored_on],
        number: true,
        text: (row) => accuracy(scored(row), row.accuracy_error),
        hint: "± its standard error: of the spread over seeds where there are several, otherwise of the number of images",
      },
      { title: "Seeds", number: true, minor: true, text: (row) => (row.seeds ? String(row.seeds) : "–") },
      {
        title: "Tied with",
        minor: true,
        text: (row) => row.tied_with.join(", ") || "–",
        hint: "members whose accuracy is no farther away than chance alone would often bring it",
      },
      ...(inherit
        ? [
            {
              title: "Inherited",
              number: true,
              minor: true,
              text: (row) => accuracy(row.inherited, null),
              hint: "the part of its parameters that it began with from the member before",
            },
          ]
        : []),
      { title: "Took", number: true, minor: true, text: (row) => duration(row.seconds) },
      { title: "Checkpoint", text: (row) => row.model ?? "–", fill: download },
    ],
  });
}

function state(cell, row) {
  const parts = [pill(row.state)];
  if (row.error) parts.push(element("span", { class: "why", title: row.error }, row.error));
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
  let [rows, title] = [[], TITLES.test];
  const chart = frame({
    label: "Accuracy over parameters. Arrow keys walk from member to member.",
    height: 320,
    redraw: draw,
  });
  const line = svg("path", { class: "front-line" });
  const names = svg("g", { class: "names" });
  chart.root.insertBefore(line, chart.marks);
  chart.over.append(names);
  const showPoints = points(chart, null);
  const note = element("p", { class: "chart-note muted" }, "No member has been scored yet.");
  chart.node.append(note);

  function draw() {
    const tested = rows.filter((row) => scored(row) !== null);
    note.hidden = tested.length > 0;
    const { area } = chart;
    const [least, most] = ends((tested.length ? tested : rows).map((row) => row.params));
    const x = costly(0.9 * least, 1.1 * most, area.left + 8, area.right - 24);
    const y = linear(...ends(tested.map(scored)), area.bottom - 8, area.top + 12);
    chart.axes(
      x,
      y,
      { x: "Parameters", y: title },
      { x: brief, y: (value) => `${Number((100 * value).toFixed(2))} %` },
    );
    const placed = tested.map((row) => ({
      key: row.member,
      x: x.at(row.params),
      y: y.at(scored(row)),
      radius: 6,
      class: "point front",
      title: row.member,
      rows: [
        [title, accuracy(scored(row), row.accuracy_error)],
        ["Seeds", String(row.seeds)],
        ["Tied with", row.tied_with.join(", ") || "–"],
        ["Parameters", short(row.params)],
        ["Multiply-adds", short(row.mult_adds)],
      ],
    }));
    showPoints(placed);
    line.setAttribute(
      "d",
      placed.map((each, index) => `${index ? "L" : "M"}${each.x.toFixed(1)},${each.y.toFixed(1)}`).join(""),
    );
    names.replaceChildren(
      ...placed.map((each) => svg("text", { x: each.x, y: each.y - 13, "text-anchor": "middle" }, each.key)),
    );
  }

  return {
    node: chart.node,
    show(family, { scored_on }) {
      [rows, title] = [family, TITLES[scored_on]];
      draw();
    },
  };
}
