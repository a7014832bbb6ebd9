// Plain points in their thousands, painted on a canvas below a chart: each an element would take seconds.

import { element } from "./element.js";

const ROUND = 2 * Math.PI;

export function dots(chart) {
  const canvas = element("canvas", { "aria-hidden": "true", hidden: true });
  let places = new Float32Array(); // x, y and radius of each, negative of hollow ones
  let size = "";
  chart.node.prepend(canvas);
  canvas.addEventListener("stale", () => !canvas.hidden && paint());
  watch(canvas);

  function paint() {
    const { clientWidth: width, clientHeight: height } = chart.node;
    const ratio = devicePixelRatio;
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const pen = canvas.getContext("2d");
    const { color, borderTopColor } = getComputedStyle(canvas);
    pen.scale(ratio, ratio);
    pen.fillStyle = color;
    for (let at = 0; at < places.length; at += 3) {
      pen.beginPath();
      const hollow = places[at + 2] < 0;
      pen.arc(places[at], places[at + 1], Math.abs(places[at + 2]), 0, ROUND);
      pen.globalAlpha = 0.55;
      if (!hollow) pen.fill();
      pen.globalAlpha = 1;
      pen.strokeStyle = hollow ? color : borderTopColor;
      pen.stroke();
    }
  }

  // Paints them where they are not on the canvas already.
  return function show(given) {
    const next = new Float32Array(3 * given.length);
    for (const [index, { x, y, radius, hollow }] of given.entries())
      next.set([x, y, hollow ? -radius : radius], 3 * index);
    const now = `${chart.node.clientWidth} ${chart.node.clientHeight} ${devicePixelRatio}`;
    const same = now === size && next.length === places.length && next.every((value, index) => value === places[index]);
    [places, size, canvas.hidden] = [next, now, given.length === 0];
    if (!same && given.length) paint();
  };
}

// Other colours or another resolution of the screen make what was painted stale. It is known by name alone to what
// outlives it, which must not keep a page that was left.
function watch(canvas) {
  const its = new WeakRef(canvas);
  const stale = () => its.deref()?.dispatchEvent(new Event("stale"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", stale);
  addEventListener("resize", stale);
}
