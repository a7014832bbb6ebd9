// Lines of several runs in one chart, each in a colour and a dash of its own, with points that can be pointed at.

import { costly, linear } from "./axis.js";
import { element, say, svg } from "./element.js";
import { ends, frame } from "./frame.js";
import { points } from "./points.js";

const STAR = 11; // pixels, of the point that stands for its run
const SPOT = 5;

// A side is {name, class, line: "front" | "steps" | "straight" | null, short?: what stands at its last point, spots: [{key,
// at, value, error?, chosen?, label?: what stands at it, title, rows}]}, with `at` and `value` in the units of the axes:
// {x: {title, brief, costly?}, y: {title, show, within?: [least, most] that a value can be}}.
export function overlay({ label, height, empty }) {
  let drawn = null;
  const chart = frame({ label, height, redraw: () => drawn && draw() });
  const lines = svg("g", { class: "sides" });
  chart.root.insertBefore(lines, chart.marks);
  const names = svg("g", { class: "names" });
  chart.over.append(names);
  const { show: showPoints } = points(chart, null);
  const note = element("p", { class: "chart-note muted" }, empty);
  const legend = element("p", { class: "legend" });
  chart.node.append(note);

  function draw() {
    const { sides, axes } = drawn;
    const { area } = chart;
    const spots = sides.flatMap((side) => side.spots);
    note.hidden = spots.length > 0;
    const [least, most] = ends(spots.map(({ at }) => at));
    const count = Math.max(3, Math.round((area.right - area.left) / 90));
    const scale = axes.x.costly ? costly : linear;
    const x = scale(axes.x.costly ? least : Math.min(0, least), most, area.left + 8, area.right - 18, count);
    const y = linear(...ends(spots.flatMap((spot) => bar(spot, axes.y))), area.bottom - 8, area.top + 6);
    chart.axes(x, y, { x: axes.x.title, y: axes.y.title }, { x: axes.x.brief, y: axes.y.show });
    lines.replaceChildren(
      ...sides.flatMap((side) => [bars(side, x, y, axes.y), line(side, x, y, area)]).filter(Boolean),
    );
    names.replaceChildren(
      ...(sides.length > 1 ? sides.map((side) => name(side, x, y)).filter(Boolean) : []),
      ...spots.filter(({ label }) => label).map((spot) => labelled(spot, x, y)),
    );
    showPoints(
      sides.flatMap((side) =>
        side.spots.map(({ key, at, value, chosen, title, rows }) => ({
          key: `${side.class} ${key}`,
          x: x.at(at),
          y: y.at(value),
          radius: chosen ? STAR - 3 : (side.radius ?? SPOT),
          class: `point side ${side.class}${chosen ? " chosen" : ""}`,
          title,
          rows,
        })),
      ),
    );
    legend.replaceChildren(
      ...sides.map((side) => element("span", { class: `key side ${side.class}` }, side.name)),
      ...(sides.some(({ spots: its }) => its.some(({ chosen }) => chosen))
        ? [element("span", {}, "larger: stands for its run")]
        : []),
    );
    say(note, empty);
  }

  return {
    node: element("div", {}, chart.node, legend),
    root: chart.root,
    show(sides, axes) {
      drawn = { sides, axes };
      draw();
    },
  };
}

function line({ class: its, line: kind, spots }, x, y, area) {
  if (!kind || !spots.length) return null;
  const parts = spots.map(({ at, value }, index) => {
    const [px, py] = [x.at(at).toFixed(1), y.at(value).toFixed(1)];
    if (index === 0) return kind === "front" ? `M${px},${area.bottom} V${py}` : `M${px},${py}`;
    return kind === "straight" ? `L${px},${py}` : `H${px} V${py}`;
  });
  const end = kind === "front" ? ` H${area.right}` : "";
  return svg("path", { class: `front-line side ${its}`, d: parts.join(" ") + end });
}

// A standard error to either side, where it is known.
function bars({ class: its, spots }, x, y, axis) {
  const known = spots.filter(({ error }) => error);
  if (!known.length) return null;
  const parts = known.map((spot) => {
    const [low, high] = bar(spot, axis).map((end) => y.at(end).toFixed(1));
    return `M${x.at(spot.at).toFixed(1)},${low} V${high}`;
  });
  return svg("path", { class: `error-bars side ${its}`, d: parts.join(" ") });
}

// Its ends, which a value does not go beyond either.
function bar({ value, error }, { within: [least, most] = [-Infinity, Infinity] }) {
  return [Math.max(least, value - (error ?? 0)), Math.min(most, value + (error ?? 0))];
}

// At its last point the number or name of the side.
function name({ short, spots }, x, y) {
  const last = spots.at(-1);
  return last && short ? svg("text", { x: x.at(last.at) + 8, y: y.at(last.value) - 8 }, short) : null;
}

const labelled = ({ at, value, label }, x, y) =>
  svg("text", { x: x.at(at), y: y.at(value) - 13, "text-anchor": "middle" }, label);
