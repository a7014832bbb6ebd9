// The frame of a chart: axes with ticks and titles in an SVG that follows the width of its place.

import { element, svg } from "./element.js";

const MARGIN = { top: 18, right: 18, bottom: 46, left: 78 };

export function frame({ label, height, redraw }) {
  const grid = svg("g", { class: "grid" });
  const marks = svg("g");
  const over = svg("g");
  const across = svg("text", { class: "axis-title", "text-anchor": "middle" });
  const upwards = svg("text", { class: "axis-title", "text-anchor": "middle" });
  const root = svg(
    "svg",
    { height, width: "100%", role: "application", tabindex: 0, "aria-label": label },
    grid,
    marks,
    over,
    across,
    upwards,
  );
  const node = element("div", { class: "chart" }, root);
  node.style.height = `${height}px`;
  const area = { left: MARGIN.left, right: 600, top: MARGIN.top, bottom: height - MARGIN.bottom };

  new ResizeObserver(([entry]) => {
    const right = Math.max(200, entry.contentRect.width) - MARGIN.right;
    if (right === area.right) return;
    area.right = right;
    redraw();
  }).observe(node);

  function axes(x, y, titles, shown) {
    const lines = [];
    for (const tick of y.ticks) {
      lines.push(svg("line", { x1: area.left, x2: area.right, y1: y.at(tick), y2: y.at(tick) }));
      lines.push(svg("text", { x: area.left - 9, y: y.at(tick) + 4, "text-anchor": "end" }, shown.y(tick)));
    }
    let clear = -Infinity;
    for (const tick of x.ticks) {
      const [at, text] = [x.at(tick), shown.x(tick)];
      const room = 3.6 * text.length + 5;
      lines.push(svg("line", { x1: at, x2: at, y1: area.bottom, y2: area.bottom + 5 }));
      if (at - room < clear) continue;
      clear = at + room;
      lines.push(svg("text", { x: at, y: area.bottom + 19, "text-anchor": "middle" }, text));
    }
    grid.replaceChildren(...lines);
    title(across, titles.x, (area.left + area.right) / 2, area.bottom + 40);
    title(upwards, titles.y, 0, 0, `translate(11 ${(area.top + area.bottom) / 2}) rotate(-90)`);
  }

  return { node, root, marks, over, area, axes };
}

function title(text, words, x, y, transform = null) {
  text.setAttribute("x", x);
  text.setAttribute("y", y);
  if (transform) text.setAttribute("transform", transform);
  if (text.textContent !== words) text.textContent = words;
}

// The two ends of some values, without spreading them over an argument list.
export function ends(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}
