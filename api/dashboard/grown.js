// How searches grew: the best reward, the accuracy of that network, or the share of the front, over compute or over
// networks.

import { get, query } from "./api.js";
import { element, select } from "./element.js";
import { folded } from "./folded.js";
import { brief, duration, METRICS, percent } from "./numbers.js";
import { overlay } from "./overlay.js";

const VALUES = {
  reward: { words: "best reward", title: "Best reward", show: (value) => String(Number(value.toPrecision(4))) },
  value: { words: "what the best has", title: null, show: (value) => `${Number((100 * value).toFixed(2))} %` },
  share: { words: "share of the front", title: "Share of the front", show: (value) => `${Math.round(100 * value)} %` },
};
const OVER = {
  seconds: { words: "compute", title: "Compute", brief: (value) => duration(value).replace(" 00 s", "") },
  networks: { words: "networks", title: "Networks", brief },
};
const options = (names) => Object.entries(names).map(([name, { words }]) => [name, words]);

export function grownChart() {
  let drawn = null;
  const value = select("grown-value", options(VALUES), "reward");
  const over = select("grown-over", options(OVER), "seconds");
  const chart = overlay({
    label: "How the searches grew. Arrow keys walk from step to step.",
    height: 300,
    empty: "No network has been compared yet.",
  });
  for (const each of [value, over]) each.addEventListener("change", () => drawn && draw());

  function draw() {
    const { sides, metric } = drawn;
    const [what, along] = [value.value, over.value];
    chart.show(
      sides.map(({ progress, ...side }) => ({
        ...side,
        line: "steps",
        radius: 3,
        spots: progress
          .filter((step) => step[what] !== null)
          .map((step) => ({
            key: step.networks,
            at: step[along],
            value: step[what],
            title: step.number === null ? side.name : `${side.name}: trial ${step.number}`,
            rows: [
              ["Networks", String(step.networks)],
              ["Compute", duration(step.seconds)],
              ["Best reward", step.reward?.toFixed(4) ?? "–"],
              [METRICS[metric].title, percent(step.value)],
              ["Share of the front", percent(step.share, 0)],
            ],
          })),
      })),
      {
        x: OVER[along],
        y: { title: VALUES[what].title ?? METRICS[metric].title, show: VALUES[what].show },
      },
    );
  }

  return {
    node: element(
      "div",
      {},
      element(
        "div",
        { class: "dials" },
        element("div", { class: "dial" }, element("label", { for: value.id }, "Show"), value),
        element("div", { class: "dial" }, element("label", { for: over.id }, "Over"), over),
      ),
      chart.node,
    ),
    // Sides are {name, short, class, progress}.
    show(sides, metric) {
      drawn = { sides, metric };
      draw();
    },
  };
}

// Of one search, by the ranking that is set: read while it is open.
export function grownCard(id, wanted) {
  let chart = null;

  async function read(node) {
    if (!chart) {
      chart = grownChart();
      node.append(chart.node);
    }
    const { sides, objective } = await get(`comparison${query({ of: id, ...wanted() })}`);
    chart.show(
      sides.map((side) => ({ name: side.name || side.run, class: "side-1", progress: side.progress })),
      objective.metric,
    );
  }

  return folded("How it grew", read);
}
