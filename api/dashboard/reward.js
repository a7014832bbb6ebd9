// The reward as in nas/objective.py: what the browser makes of another target or exponent before the service answers.

import { costOf, latencyOn, metricOf } from "./columns.js";
import { rough } from "./noise.js";

export function worth(objective, value, cost) {
  const [factor, offset] = terms(objective, cost);
  return value * factor + offset;
}

// [factor, offset] such that the reward at a cost is the value × factor + offset.
export function terms({ form, target, w_under, w_over }, cost) {
  const w = cost <= target ? w_under : w_over;
  return form === "absolute" ? [1, w * Math.abs(cost / target - 1)] : [(cost / target) ** w, 0];
}

// A front by another target or other exponents, which change neither its points nor their ties. The best is one of those
// that are known with their means, or of the trials of networks that were trained once.
export function reranked(pareto, objective, trials, place) {
  const again = (row) => ({ ...row, reward: worth(objective, row.value, row.cost) });
  const known = new Map([...pareto.front, pareto.best].filter(Boolean).map((row) => [row.number, again(row)]));
  const several = new Set(trials.map((trial) => trial.repeats));
  const best = choice(objective);
  for (const row of known.values()) best.add(row);
  for (const trial of trials) {
    if (known.has(trial.number) || several.has(trial.number) || trial.repeats !== null) continue;
    const [value, cost] = [metricOf(trial, objective.metric), costOf(trial, objective.cost, place)];
    if (value === null || cost === null) continue;
    const { number, baseline, rung } = trial;
    const reward = worth(objective, value, cost);
    const noisy = objective.cost === "latency_ms" && rough(latencyOn(trial, place));
    best.add({ number, baseline, rung, value, cost, reward, noisy, trainings: 1, tied_with: [] });
  }
  return { ...pareto, objective, front: pareto.front.map((row) => known.get(row.number)), best: best.row() };
}

// The best of all, or of those whose cost is well known where one of these fits: as `decisive` in nas/standings.py.
function choice({ target, w_under, w_over }) {
  const fits = (cost) => cost <= target || w_over >= w_under;
  let [all, known, others] = [null, null, false];
  return {
    add(row) {
      all = better(all, row);
      if (row.noisy) return;
      known = better(known, row);
      others ||= row.baseline === null && fits(row.cost);
    },
    row: () => (others ? known : all),
  };
}

// Of equal ones the cheapest, then the earliest; what a search did not find itself is never its best.
function better(best, row) {
  if (row.baseline !== null) return best;
  if (best === null || row.reward !== best.reward) return best === null || row.reward > best.reward ? row : best;
  return row.cost < best.cost || (row.cost === best.cost && row.number < best.number) ? row : best;
}
