// What a search knew of latencies before it measured them, against what was measured then.

import { get, home } from "./api.js";
import { element, say } from "./element.js";
import { folded } from "./folded.js";
import { brief, latency, milliseconds, percent } from "./numbers.js";
import { overlay } from "./overlay.js";

export function predictedCard(id) {
  let chart = null;
  const words = element("p", { class: "muted" });

  async function read(node) {
    if (!chart) {
      chart = overlay({
        label: "Measured against predicted latency. Arrow keys walk from network to network.",
        height: 300,
        empty: "No latency that was predicted has been measured yet.",
      });
      node.append(chart.node);
    }
    draw(await get(`${home("search", id)}/predictions`));
  }

  function draw({ device, error, rank, networks }) {
    const known = rank === null ? "" : `, and their rank correlation is ${rank.toFixed(3)}`;
    const off =
      error === null ? "" : ` ${networks.length} predictions were ${percent(error, 1)} off on average${known}.`;
    say(
      words,
      `Latencies on ${device} are predicted where enough was measured on it before the search began, and so well that the searcher may rely on it.${off}`,
    );
    const measured = networks.map((row) => ({
      key: row.number,
      at: row.predicted_ms,
      value: row.measured_ms,
      error: row.error_ms,
      title: `Trial ${row.number}`,
      rows: [
        ["Predicted", milliseconds(row.predicted_ms)],
        ["Measured", latency({ median_ms: row.measured_ms, error_ms: row.error_ms })],
      ],
    }));
    const ends = networks.length ? [0, Math.max(...networks.map((row) => row.predicted_ms))] : [];
    const alike = ends.map((end) => ({ key: end, at: end, value: end, title: "As predicted", rows: [] }));
    chart.show(
      [
        { name: "as predicted", class: "side-behind", line: "straight", radius: 1, spots: alike },
        { name: "networks", class: "side-1", line: null, radius: 3, spots: measured },
      ],
      {
        x: { title: "Predicted latency, ms", brief },
        y: { title: "Measured latency, ms", show: brief },
      },
    );
  }

  return folded("Predicted against measured", read, [words]);
}
