// All trials of a run, kept up to date by asking only for what is new or was still running.

import { get, home, query } from "./api.js";

const PAGE = 250; // trials in one answer
const GAP = 20; // running trials this close are asked for together

export function ledger(kind, id) {
  const trials = new Map();
  let last = -1;

  async function page(after, limit, signal) {
    const answer = await get(`${home(kind, id)}/trials${query({ after, limit })}`, signal);
    for (const trial of answer.trials) {
      trials.set(trial.number, trial);
      last = Math.max(last, trial.number);
    }
    return answer.trials.length;
  }

  // Calls seen() while a long history comes in, each time with half as much again, so that it appears bit by bit.
  return async function refresh(signal, seen = () => {}) {
    const running = [...trials.values()].filter((trial) => trial.state === "running").map((trial) => trial.number);
    for (const [first, final] of ranges(running.sort((a, b) => a - b)))
      await page(first - 1, final - first + 1, signal);
    let [got, shown] = [0, trials.size];
    do {
      got = await page(last, PAGE, signal);
      if (got === PAGE && trials.size >= 1.5 * shown) {
        shown = trials.size;
        seen(trials);
      }
    } while (got === PAGE);
    return trials;
  };
}

// [3, 4, 9, 700] to [[3, 9], [700, 700]].
function ranges(numbers) {
  const found = [];
  for (const number of numbers) {
    const open = found.at(-1);
    if (open && number - open[1] <= GAP && number - open[0] < PAGE) open[1] = number;
    else found.push([number, number]);
  }
  return found;
}
