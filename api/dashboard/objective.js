// An objective in words.

import { COSTS, METRICS } from "./numbers.js";

export const PRESETS = { soft: [-0.07, -0.07], hard: [0, -1], accuracy: [0, 0] };

export function inWords({ cost, target, w_under, w_over, form, also, metric }) {
  const value = METRICS[metric].words;
  const goal = `${COSTS[cost].brief(target)} ${COSTS[cost].words}`;
  if (form === "front") {
    const aims = also ? `${value}, ${COSTS[cost].words} and ${COSTS[also].words}` : `${value} and ${COSTS[cost].words}`;
    return `Looks for the whole front of ${aims}; the reward only ranks what was found.`;
  }
  if (form === "absolute")
    return `Maximises ${value} + w · |cost / target − 1| with a target of ${goal}; w is ${sign(w_under)} below it and ${sign(w_over)} above.`;
  if (w_under === 0 && w_over === 0) return `Maximises ${value} alone, whatever it costs.`;
  if (w_under === w_over) {
    const worth = (100 * (2 ** -w_over - 1)).toFixed(0);
    return `Maximises ${value} × (cost / target)ʷ with a soft target of ${goal}, w = ${sign(w_over)}: twice the cost must bring ${worth} % more ${metric === "accuracy" ? "accuracy" : "of it"}.`;
  }
  if (w_under === 0)
    return `Maximises ${value} with a hard target of ${goal}: free below it, ${value} × (cost / target)ʷ above, w = ${sign(w_over)}.`;
  return `Maximises ${value} × (cost / target)ʷ with a target of ${goal}; w is ${sign(w_under)} below it and ${sign(w_over)} above.`;
}

const sign = (value) => String(value).replace("-", "−");
