// Whole trials of a run, each read when it is looked at and kept once it has ended: a newer look makes an older one void.

import { get, home, query } from "./api.js";

export function whole(kind, id, came) {
  const known = new Map();
  let [asking, trouble] = [null, null];

  async function ask(number) {
    asking?.abort();
    const mine = new AbortController();
    asking = Object.assign(mine, { number });
    try {
      const address = `${home(kind, id)}/trials${query({ after: number - 1, limit: 1 })}`;
      const { trials } = await get(address, mine.signal);
      known.set(number, trials[0]);
      trouble = null;
    } catch (error) {
      if (mine.signal.aborted) return;
      trouble = error.message;
    }
    if (mine.signal.aborted) return;
    asking = null;
    came();
  }

  return {
    // What is known of it whole, which is null until it has been read.
    of({ number, state }) {
      const its = known.get(number) ?? null;
      if (its?.state !== state && asking?.number !== number && !trouble) ask(number);
      return its;
    },
    // Why the last one could not be read, until it may be tried again.
    trouble: () => trouble,
    again() {
      trouble = null;
    },
    keep(trials) {
      for (const trial of trials) known.set(trial.number, trial);
    },
  };
}
