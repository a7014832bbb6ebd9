// The trials of a search, light enough for a hundred thousand: what plot and table need of each, read as columns. Those
// that have ended are asked for once, in the order in which they did.

import { get, home, query } from "./api.js";

const NAMES = [
  ...["number", "state", "role", "rung", "baseline", "repeats", "promotes", "params", "mult_adds", "peak_memory"],
  ...["model_bytes", "accuracy", "balanced_accuracy", "macro_f1", "worst_recall", "single_precision", "inherited"],
  ...["learning_rate", "remark", "latencies", "seconds"],
];

export function columns(id) {
  const trials = new Map();
  const ends = new Map(); // by number the place in the order of their ends
  let after = 0;

  function add(trial) {
    const before = trials.get(trial.promotes);
    trials.set(trial.number, {
      ...trial,
      whole: trial.role === "parent" || trial.baseline === "parent" || !!before?.whole,
    });
  }

  const part = (signal) => get(`${home("search", id)}/columns${query({ after })}`, signal);

  // Calls seen() with each part of a long history, of which more is to come. Answers the trials that are running, whole.
  return {
    trials,
    async refresh(signal, seen = () => {}) {
      let [answer, next] = [null, part(signal)];
      do {
        answer = await next;
        for (const [index, number] of answer.number.entries()) ends.set(number, after + index + 1);
        ({ after } = answer);
        if (answer.more) {
          next = part(signal); // while this part is shown
          next.catch(() => {}); // which is heard of where it is awaited, if it comes to that
        }
        for (const { number, state } of trials.values()) if (state === "running") trials.delete(number);
        for (const index of answer.number.keys()) add(lightened(answer, index));
        for (const trial of answer.running) if (!trials.has(trial.number)) add(outlined(trial));
        if (answer.more) seen();
        for (const number of measuredAgain(answer)) add(await one(id, ends.get(number), signal));
      } while (answer.more);
      return answer.running.filter(({ number }) => trials.get(number).state === "running");
    },
  };
}

// One trial of a search by itself, which is there whole.
export async function latest(id, trial, signal) {
  return { ...(trial.finished === null ? outlined(trial) : await one(id, trial.finished, signal)), whole: false };
}

// The one that ended as the so-manieth.
async function one(id, finished, signal) {
  return lightened(await get(`${home("search", id)}/columns${query({ after: finished - 1, limit: 1 })}`, signal), 0);
}

// Those whose latency was measured again by one of these, and that had ended before: they are others now.
function measuredAgain({ number, role, repeats }) {
  const these = new Set(number);
  return new Set(
    [...repeats.keys()]
      .filter((index) => role[index] === "measured" && !these.has(repeats[index]))
      .map((index) => repeats[index]),
  );
}

function lightened(answer, index) {
  const trial = {};
  for (const name of NAMES) trial[name] = answer[name][index] ?? null;
  return trial;
}

function outlined({ number, state, job }) {
  const { rung, repeats, measures, promotes } = job;
  const trial = Object.fromEntries(NAMES.map((name) => [name, null]));
  const baseline = job.baseline ?? (job.whole && !Object.keys(job.choices).length ? "parent" : null);
  Object.assign(trial, { number, state, baseline, role: role(job, baseline), rung: rung ?? null });
  return { ...trial, repeats: repeats ?? measures ?? null, promotes: promotes ?? null };
}

// As in nas/outlines.py.
function role({ children, whole, repeats, measures, promotes }, baseline) {
  if ((measures ?? null) !== null) return "measured";
  if (Object.keys(children ?? {}).length) return "supernet";
  if (baseline) return "baseline";
  return whole && (repeats ?? promotes ?? null) === null ? "parent" : "own";
}

// What a metric is of a trial; null also where an older version did not record it.
export const metricOf = (trial, metric) => trial[metric];

// Its latency on the search's device at that place, as {median_ms, error_ms}.
export function latencyOn({ latencies }, place) {
  const pair = latencies?.[place];
  return pair ? { median_ms: pair[0], error_ms: pair[1] ?? null } : null;
}

export const costOf = (trial, cost, place) =>
  cost === "latency_ms" ? (trial.latencies?.[place]?.[0] ?? null) : trial[cost];
