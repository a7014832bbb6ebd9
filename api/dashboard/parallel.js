// Parallel coordinates (Inselberg 1985): an axis a knob, one for the cost and one for the value, and a line a network.
// Axes of numbers are brushed by dragging along them or by the arrow keys, those of choices by clicking on a choice.

import { costly, linear } from "./axis.js";
import { element, svg } from "./element.js";
import { ends } from "./frame.js";

const [TOP, BOTTOM, SIDE] = [34, 22, 52]; // pixels around the axes
const HEIGHT = 300;
const CLICK = 4; // pixels: a shorter drag takes the brush away
const KEYS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
const STEP = 4; // pixels that a key moves an end of what is kept by

// `brush` has the choices that are kept by knob (a Set of places), and the ends of what is kept of cost and value.
// changed() is called when a brush is; a network is picked by clicking on its line.
export function parallel(brush, changed, pick) {
  let [drawn, width] = [null, 600];
  const root = svg("svg", { width: "100%", height: HEIGHT, role: "group" });
  const node = element("div", { class: "chart parallel" }, root);
  node.style.height = `${HEIGHT}px`;
  new ResizeObserver(([entry]) => {
    if (width === entry.contentRect.width) return;
    width = entry.contentRect.width;
    if (drawn) draw();
  }).observe(node);

  function draw() {
    const { axes, networks, kept, best } = drawn;
    const every = Math.max(1, width - 2 * SIDE) / (axes.length - 1);
    const scales = axes.map((axis) => scale(axis, networks));
    const path = (network) =>
      axes.map(
        (axis, index) => `${(SIDE + index * every).toFixed(1)},${scales[index].at(axis.of(network)).toFixed(1)}`,
      );
    const line = (network, its) =>
      svg(
        "polyline",
        { class: `network ${its}`, points: path(network).join(" "), click: () => pick(network.number) },
        svg("title", {}, `trial ${network.number}`),
      );
    const order = [...networks].sort((a, b) => kept.has(a.number) - kept.has(b.number));
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    root.replaceChildren(
      ...order.map((network) => line(network, kept.has(network.number) ? "kept" : "")),
      ...networks.filter(({ number }) => number === best).map((network) => line(network, "best")),
      ...axes.map((axis, index) => drawAxis(axis, scales[index], SIDE + index * every, every)),
    );
    root.querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
    root.setAttribute("aria-label", `${networks.length} networks by ${axes.map(({ title }) => title).join(", ")}`);
  }

  function drawAxis(axis, scale, x, room) {
    const { at, of, ticks } = scale;
    const on = (tick) => (axis.choices ? !brush[axis.name] || brush[axis.name].has(tick) : true);
    const most = Math.max(6, Math.floor(room / 7));
    const group = svg(
      "g",
      { class: "axis" },
      svg(
        "text",
        { x, y: 14, class: "axis-title", "text-anchor": "middle" },
        cut(axis.title, most, !!axis.choices),
        svg("title", {}, axis.title),
      ),
      svg("line", { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }),
      ...ticks.map((tick) =>
        svg(
          "text",
          {
            x,
            y: at(tick) + 4,
            "text-anchor": "middle",
            class: `tick ${on(tick) ? "" : "off"}${axis.choices ? " choice" : ""}`,
            click: axis.choices ? () => changed(axis.name, tick) : null,
          },
          axis.show(tick),
        ),
      ),
    );
    if (!axis.choices) group.append(...grip(axis, x, at, of), ...sliders(axis, x, scale));
    return group;
  }

  function grip(axis, x, at, of) {
    const range = brush[axis.name];
    const hold = svg("rect", {
      class: "brushed-hold",
      x: x - 16,
      width: 32,
      y: TOP - 8,
      height: HEIGHT - TOP - BOTTOM + 16,
    });
    const shown = svg("rect", { class: "brushed", x: x - 7, width: 14, y: 0, height: 0, visibility: "hidden" });
    const mark = (from, to) => {
      shown.setAttribute("y", Math.min(from, to));
      shown.setAttribute("height", Math.abs(to - from));
      shown.setAttribute("visibility", "visible");
    };
    if (range) mark(at(range[0]), at(range[1]));
    const height = (event) =>
      Math.min(HEIGHT - BOTTOM, Math.max(TOP, event.clientY - root.getBoundingClientRect().top));
    let from = null;
    hold.addEventListener("pointerdown", (event) => {
      from = height(event);
      hold.setPointerCapture(event.pointerId);
    });
    hold.addEventListener("pointermove", (event) => from !== null && mark(from, height(event)));
    hold.addEventListener("pointerup", (event) => {
      const to = height(event);
      const far = Math.abs(to - from) > CLICK;
      changed(axis.name, far ? [of(from), of(to)].sort((a, b) => a - b) : null);
      from = null;
    });
    return [shown, hold];
  }

  // What dragging does, for the keyboard: either end of what is kept is a slider.
  function sliders(axis, x, { at, of, low, high }) {
    const range = (brush[axis.name] ?? [low, high]).map((value) => Math.min(high, Math.max(low, value)));
    return range.map((value, end) => {
      const [least, most] = end ? [range[0], high] : [low, range[1]];

      function moved(event) {
        if (!(event.key in KEYS) && event.key !== "Escape") return;
        event.preventDefault();
        if (event.key === "Escape") return changed(axis.name, null);
        const kept = range.with(end, Math.min(most, Math.max(least, of(at(value) - STEP * KEYS[event.key]))));
        changed(axis.name, kept[0] > low || kept[1] < high ? kept : null);
      }

      return svg("rect", {
        class: "brush-end",
        "data-key": `${axis.name} ${end}`,
        role: "slider",
        tabindex: 0,
        "aria-label": `${axis.title}, ${end ? "at most" : "at least"}`,
        "aria-orientation": "vertical",
        "aria-valuemin": least,
        "aria-valuemax": most,
        "aria-valuenow": value,
        "aria-valuetext": axis.show(value),
        x: x - 10,
        width: 20,
        y: at(value) - 3,
        height: 6,
        keydown: moved,
      });
    });
  }

  return {
    node,
    // Axes are {name, title, of(network), show(tick), choices: how many there are, or null, costly}.
    show(axes, networks, kept, best) {
      drawn = { axes, networks, kept, best };
      draw();
    },
  };
}

function scale({ choices, costly: dear, of }, networks) {
  const [from, to] = [HEIGHT - BOTTOM, TOP];
  if (choices) {
    const at = (place) => from + ((place + 0.5) / choices) * (to - from);
    return { at, ticks: Array.from({ length: choices }, (_, place) => place) };
  }
  return (dear ? costly : linear)(...ends(networks.map(of)), from, to, 5);
}

// A knob's name says most in its end.
const cut = (text, most, ending) =>
  text.length <= most ? text : ending ? `…${text.slice(1 - most)}` : `${text.slice(0, most - 1)}…`;
