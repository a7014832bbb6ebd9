// A family over a cost, as EfficientNet's Figure 1 has it, and behind it the search that it is from: its front, and the
// published networks that were trained on the same images.

import { get, query } from "./api.js";
import { columns, costOf, metricOf } from "./columns.js";
import { element, say, select } from "./element.js";
import { scored, TITLES } from "./family.js";
import { accuracy, COSTS, METRICS, percent, short } from "./numbers.js";
import { overlay } from "./overlay.js";
import { saving } from "./saving.js";

// A colour and a dash for each way to scale; factors that a fit compares are on no line.
const WAYS = { compound: "side-1", depth: "side-2", width: "side-3", resolution: "side-4" };

const COLUMNS = ["member", "state", "accuracy", "test_accuracy", "accuracy_error", "seeds", ...Object.keys(COSTS)];

// All that the chart can be made to show, as rows of which the first are headings; a latency is one on a device.
function rowsOf({ spec: { metric, devices }, family }) {
  const names = metric === "accuracy" ? COLUMNS : [...COLUMNS, "value", "value_error"];
  const plain = names.filter((name) => name !== "latency_ms");
  return [
    [...plain, ...devices.map((device) => `latency_ms:${device}`)],
    ...family.map((row) => [...plain.map((name) => row[name]), ...devices.map((device) => row.latencies_ms[device])]),
  ];
}

export function familyChart() {
  let [run, search, asking] = [null, null, null];
  const axis = select("family-axis", [], "mult_adds");
  const behind = element("input", { type: "checkbox", id: "family-behind" });
  const dial = element("label", { class: "check", hidden: true }, behind, "The search behind it");
  const complaint = element("p", { class: "error", role: "alert" });
  const chart = overlay({
    label: "The family over a cost. Arrow keys walk from member to member.",
    height: 340,
    empty: "No member has been scored yet.",
  });
  axis.addEventListener("change", changed);
  behind.addEventListener("change", changed);

  // The search is read when it is asked for, and again for another cost.
  async function changed() {
    draw([]);
    asking?.abort();
    if (!behind.checked) return;
    const mine = new AbortController();
    asking = mine;
    try {
      const sides = await searched(mine.signal);
      say(complaint, "");
      if (!mine.signal.aborted) draw(sides);
    } catch (error) {
      if (!mine.signal.aborted) say(complaint, error.message);
    }
  }

  async function searched(signal) {
    const [source] = run.spec.source;
    const { cost, device } = chosen();
    const front = await get(
      `searches/${encodeURIComponent(source)}/pareto${query({ cost, device, target: 1, w: 0, metric: run.spec.metric })}`,
      signal,
    );
    search ??= { spec: (await get(`searches/${encodeURIComponent(source)}`, signal)).spec, columns: columns(source) };
    await search.columns.refresh(signal);
    const place = search.spec.devices.indexOf(front.device);
    const published = [...search.columns.trials.values()].filter(
      (trial) => trial.baseline && trial.repeats === null && metricOf(trial, run.spec.metric) !== null,
    );
    const spot = (number, at, value, error, title, label) => ({
      key: number,
      at,
      value,
      error,
      title,
      label,
      rows: [
        [`${METRICS[run.spec.metric].title}, validation images`, accuracy(value, error)],
        [COSTS[cost].title, COSTS[cost].show(at)],
      ],
    });
    return [
      {
        name: "front of its search, on validation images",
        class: "side-behind",
        line: "front",
        spots: front.front
          .filter((row) => !row.baseline)
          .map((row) => spot(row.number, row.cost, row.value, row.value_error, `Trial ${row.number}`)),
      },
      {
        name: "published networks, trained in its search",
        class: "side-6",
        line: null,
        spots: published
          .filter((trial) => costOf(trial, cost, place) !== null)
          .map((trial) =>
            spot(
              trial.number,
              costOf(trial, cost, place),
              metricOf(trial, run.spec.metric),
              null,
              trial.baseline,
              trial.baseline,
            ),
          ),
      },
    ].filter((side) => side.spots.length);
  }

  const chosen = () => {
    const [cost, device] = axis.value.split(/:(.*)/);
    return { cost, device };
  };

  function draw(others) {
    const { cost, device } = chosen();
    const at = (row) => (cost === "latency_ms" ? row.latencies_ms[device] : row[cost]) ?? null;
    const title = TITLES[run.spec.scored_on];
    const tested = run.family.filter((row) => scored(row) !== null && at(row) !== null);
    const ways = [...new Set(tested.map(({ way }) => way))].filter(Boolean);
    const base = tested.find(({ member }) => member === "B0");
    const sides = ways.map((way) => ({
      name: ways.length > 1 ? `${way} scaling` : "the family",
      class: WAYS[way],
      line: "straight",
      rows: [...new Set([...(base ? [base] : []), ...tested.filter((row) => row.way === way)])],
    }));
    const loose = tested.filter((row) => !row.way && !sides.some(({ rows }) => rows.includes(row)));
    if (loose.length) sides.push({ name: "members", class: "side-1", line: null, rows: loose });
    const spot = (row) => ({
      key: row.member,
      at: at(row),
      value: scored(row),
      error: row.accuracy_error,
      title: row.member,
      label: row.way || loose.length < 12 ? row.member : null,
      rows: [
        [title, accuracy(scored(row), row.accuracy_error)],
        ["Seeds", String(row.seeds)],
        ["Tied with", row.tied_with.join(", ") || "–"],
        ["Parameters", short(row.params)],
        ["Multiply-adds", short(row.mult_adds)],
        ...(cost === "mult_adds" || cost === "params" ? [] : [[COSTS[cost].title, COSTS[cost].show(at(row))]]),
      ],
    });
    chart.show([...others, ...sides.map(({ rows, ...side }) => ({ ...side, radius: 6, spots: rows.map(spot) }))], {
      x: { title: COSTS[cost].title + (device ? ` on ${device}` : ""), brief: COSTS[cost].brief, costly: true },
      y: { title, show: (value) => percent(value, 1), within: [0, 1] },
    });
  }

  const saved = saving(
    chart.root,
    () => `family-${run.id}`,
    () => rowsOf(run),
  );

  const node = element(
    "div",
    { inert: true }, // until there is a family
    element(
      "div",
      { class: "dials" },
      element("div", { class: "dial" }, element("label", { for: axis.id }, "Over"), axis),
      dial,
    ),
    complaint,
    chart.node,
    saved,
  );

  return {
    node,
    show(growth) {
      const first = run === null;
      run = growth;
      if (first) {
        const known = Object.entries(COSTS).flatMap(([cost, { title }]) =>
          cost === "latency_ms"
            ? run.spec.devices.map((device) => [`latency_ms:${device}`, `${title} on ${device}`])
            : [[cost, title]],
        );
        axis.replaceChildren(...known.map(([value, text]) => element("option", { value }, text)));
        axis.value = "mult_adds";
        dial.hidden = !run.spec.source;
        node.inert = false;
      }
      changed();
    },
  };
}
