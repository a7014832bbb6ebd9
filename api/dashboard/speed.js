// How fast kinds of machines were, day by day: what the yardstick took on each, over what it took at best.

import { element, svg } from "./element.js";
import { table } from "./table.js";

const [MOST_DAYS, STEP, HEIGHT] = [60, 4, 32];
const WIDTH = MOST_DAYS * STEP;
const SLOWER = 1.05; // times as long as at best, from which on latencies err more
const DAY = 24 * 3600 * 1000;

export function speeds() {
  return table({
    label: "speeds",
    key: ({ way }) => JSON.stringify(way),
    empty: "No latency has been measured for this service yet.",
    stacked: true,
    columns: [
      { title: "Device", text: ({ way }) => way.device, value: ({ way }) => way.device },
      { title: "Machine", text: machine, wide: true },
      { title: "Lately", text: lately },
      {
        title: "Day by day",
        wide: true,
        text: ({ days }) => JSON.stringify(days),
        fill: (cell, row) => cell.replaceChildren(picture(row)),
      },
    ],
  });
}

const machine = ({ way: { device, processor, runtime } }) => [processor, runtime].filter(Boolean).join(" · ") || device;
const best = (days) => Math.min(...days.map((day) => day.best_ms));

function lately({ days }) {
  const times = days.at(-1).best_ms / best(days);
  return times > SLOWER ? `${times.toFixed(2)} times as long as at best` : "at its best";
}

// A bar a day on which it was measured, as high as it was fast.
function picture({ days }) {
  const [shown, fastest] = [days.slice(-MOST_DAYS), best(days)];
  const bars = shown.map(({ day, best_ms }, place) => {
    const [speed, at] = [fastest / best_ms, new Date(day * DAY).toISOString().slice(0, 10)];
    const slow = best_ms > SLOWER * fastest;
    return svg(
      "rect",
      { x: place * STEP, y: HEIGHT * (1 - speed), width: STEP - 1, height: HEIGHT * speed, class: slow && "slow" },
      svg("title", {}, `${at}: ${(1 / speed).toFixed(2)} times as long as at best`),
    );
  });
  const slow = shown.filter(({ best_ms }) => best_ms > SLOWER * fastest).length;
  const said = `${shown.length} days, of which it was slower than at best on ${slow}`;
  return element(
    "span",
    {},
    svg(
      "svg",
      {
        class: "speed",
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        width: WIDTH,
        height: HEIGHT,
        role: "img",
        "aria-label": said,
      },
      ...bars,
    ),
  );
}
