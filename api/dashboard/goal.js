// The target in the plot of a search: a line to be dragged by pointer or arrow keys. What is beyond it fades where it is
// the best within it that is sought.

import { say, svg } from "./element.js";
import { COSTS } from "./numbers.js";

const KEYS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
const STEP = 4; // pixels that a key moves it by

export function goal(chart, aimed) {
  const beyond = svg("rect", { class: "beyond", visibility: "hidden" });
  const line = svg("line", { class: "target" });
  const text = svg("text", { class: "target-text" });
  const grip = svg("path", { class: "grip" });
  const hold = svg("line", { class: "hold" });
  const handle = svg(
    "g",
    { class: "goal", role: "slider", tabindex: 0, "aria-label": "Target, in the plot" },
    line,
    text,
    grip,
    hold,
  );
  let [scale, dragging, at] = [null, false, 0];
  chart.over.prepend(beyond);
  chart.over.append(handle);

  const within = (pixel) => Math.min(scale.at(scale.high), Math.max(scale.at(scale.low), pixel));
  const aim = (pixel) => aimed(Number(scale.of(within(pixel)).toPrecision(3)));

  handle.addEventListener("pointerdown", (event) => {
    dragging = true;
    handle.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true });
    event.preventDefault();
  });
  handle.addEventListener("pointermove", (event) => {
    event.stopPropagation(); // no point is meant
    if (dragging) aim(event.clientX - chart.root.getBoundingClientRect().left);
  });
  for (const end of ["pointerup", "pointercancel"])
    handle.addEventListener(end, () => {
      dragging = false;
    });
  handle.addEventListener("click", (event) => event.stopPropagation());
  handle.addEventListener("keydown", (event) => {
    if (!(event.key in KEYS)) return;
    event.preventDefault();
    event.stopPropagation();
    aim(at + STEP * KEYS[event.key]);
  });

  return {
    // While it is dragged the axis stays as it is.
    axis: () => (dragging || document.activeElement === handle ? scale : null),
    // Nothing where the target does not choose.
    show({ target, cost, w_under, w_over }, x, chooses) {
      scale = x;
      handle.setAttribute("display", chooses ? "inline" : "none");
      const { area } = chart;
      const inside = target >= x.low && target <= x.high;
      at = within(x.at(target));
      for (const node of [line, hold])
        for (const [name, value] of Object.entries({ x1: at, x2: at, y1: area.top - 6, y2: area.bottom }))
          node.setAttribute(name, value);
      grip.setAttribute("d", `M${at - 7},${area.top - 12} h14 v8 l-7,7 l-7,-7z`);
      const right = at > area.right - 110;
      text.setAttribute("x", at + (right ? -6 : 6));
      text.setAttribute("y", area.bottom - 8);
      text.setAttribute("text-anchor", right ? "end" : "start");
      const words = COSTS[cost].brief(target);
      say(text, inside ? `target ${words}` : right ? `target ${words} →` : `← target ${words}`);
      for (const [name, value] of Object.entries({
        valuemin: x.low,
        valuemax: x.high,
        valuenow: target,
        valuetext: words,
      }))
        handle.setAttribute(`aria-${name}`, value);
      const box = {
        x: at,
        y: area.top - 14,
        width: Math.max(0, area.right + 14 - at),
        height: area.bottom + 14 - area.top,
      };
      for (const [name, value] of Object.entries(box)) beyond.setAttribute(name, value);
      beyond.setAttribute("visibility", w_over < w_under ? "visible" : "hidden");
    },
  };
}
