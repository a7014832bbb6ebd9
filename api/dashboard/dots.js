// Plain points in their thousands, painted on a canvas below a chart: each an element would take seconds.

import { element } from "./element.js";

const ROUND = 2 * Math.PI;
const STEPS = 4; // sizes of dots a pixel

export function dots(chart) {
  const canvas = element("canvas", { "aria-hidden": "true", hidden: true });
  let places = new Float32Array(); // x, y and radius of each, negative of hollow ones
  let size = "";
  chart.node.prepend(canvas);
  canvas.addEventListener("stale", () => !canvas.hidden && paint());
  watch(canvas);

  // All, or those from one `from` on above the others.
  function paint(from = 0) {
    const pen = canvas.getContext("2d");
    const ratio = devicePixelRatio;
    if (from === 0) {
      const { clientWidth: width, clientHeight: height } = chart.node;
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    }
    const { color, borderTopColor } = getComputedStyle(canvas);
    const stamps = new Map(); // of each size: to put one down takes a third of drawing it
    for (let at = from; at < places.length; at += 3) {
      const size = Math.round(STEPS * places[at + 2] * ratio);
      if (!stamps.has(size)) stamps.set(size, stamp(Math.abs(size) / STEPS, size < 0, ratio, color, borderTopColor));
      const its = stamps.get(size);
      const half = its.width / 2;
      pen.drawImage(its, Math.round(places[at] * ratio - half), Math.round(places[at + 1] * ratio - half));
    }
  }

  // Paints them, as far as they are not on the canvas already.
  return function show(given) {
    const next = new Float32Array(3 * given.length);
    let end = 0;
    for (const { x, y, radius, hollow } of given) {
      next[end++] = x;
      next[end++] = y;
      next[end++] = hollow ? -radius : radius;
    }
    const now = `${chart.node.clientWidth} ${chart.node.clientHeight} ${devicePixelRatio}`;
    const there = now === size && places.every((value, index) => value === next[index]) ? places.length : 0;
    [places, size, canvas.hidden] = [next, now, given.length === 0];
    if (there < end) paint(there);
  };
}

// A dot of that radius in pixels of the screen, `ratio` of which are one of the page.
function stamp(radius, hollow, ratio, color, edge) {
  const canvas = element("canvas");
  const half = Math.ceil(radius + ratio);
  [canvas.width, canvas.height] = [2 * half, 2 * half];
  const pen = canvas.getContext("2d");
  pen.arc(half, half, radius, 0, ROUND);
  pen.fillStyle = color;
  pen.globalAlpha = 0.55;
  if (!hollow) pen.fill();
  pen.globalAlpha = 1;
  pen.lineWidth = ratio;
  pen.strokeStyle = hollow ? color : edge;
  pen.stroke();
  return canvas;
}

// Other colours or another resolution of the screen make what was painted stale. It is known by name alone to what
// outlives it, which must not keep a page that was left.
function watch(canvas) {
  const its = new WeakRef(canvas);
  const stale = () => its.deref()?.dispatchEvent(new Event("stale"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", stale);
  addEventListener("resize", stale);
}
