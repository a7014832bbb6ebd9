// An objective in words.

import { COSTS, METRICS } from "./numbers.js";

export const PRESETS = { soft: [-0.07, -0.07], hard: [0, -1], accuracy: [0, 0] };

// A round target, within which is what costs so much.
export function aimAt(cost) {
  const unit = 10 ** (Math.floor(Math.log10(cost)) - 1);
  return Number((Math.ceil(cost / unit - 1e-9) * unit).toPrecision(2));
}

// Whether its target chooses: with one exponent alone it is a factor of every reward, as `bound` in nas/objective.py.
export const bound = ({ form, w_under, w_over }) => form === "absolute" || w_under !== w_over;

export function inWords({ cost, target, w_under, w_over, form, also, metric, precision }) {
  const value = METRICS[metric].words + (precision === "int8" ? " in 8 bits" : "");
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
    return `Maximises ${value} × costʷ, w = ${sign(w_over)}: twice the ${COSTS[cost].words} must bring ${worth} % more ${metric === "accuracy" ? "accuracy" : "of it"}.`;
  }
  if (w_under === 0)
    return `Looks for the best ${value} within ${goal}: what costs more counts ${value} × (cost / target)ʷ, w = ${sign(w_over)}.`;
  return `Maximises ${value} × (cost / target)ʷ with a target of ${goal}; w is ${sign(w_under)} below it and ${sign(w_over)} above.`;
}

const sign = (value) => String(value).replace("-", "−");
