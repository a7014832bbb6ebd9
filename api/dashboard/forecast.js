// What the search that a form describes would take, said anew a moment after the form was changed.

import { post } from "./api.js";
import { element, say } from "./element.js";
import { brief, duration, percent } from "./numbers.js";

const PAUSE = 400; // milliseconds without a change

export function forecast() {
  const node = element("p", { class: "muted forecast", role: "status" });
  let [asked, timer] = [0, null];

  async function ask(body, number) {
    let text;
    try {
      text = inWords(await post("forecasts", body));
    } catch {
      text = "None yet: something in the form is missing or wrong."; // what, its own submission says
    }
    if (number === asked) say(node, text); // nothing was changed meanwhile
  }

  return {
    node,
    show(body) {
      clearTimeout(timer);
      timer = setTimeout(ask, PAUSE, body, ++asked);
    },
  };
}

function inWords({ worth, seconds, reason, remark, ...told }) {
  if (seconds === null) return `None: ${reason}. ${training(worth)}`;
  const { seconds_range, compute_seconds, trial_seconds, trials, trainings, dataset, error } = told;
  const sure = error === null ? "" : `, each missed by ${percent(error, 0)}`;
  const elsewhere = dataset === null ? "" : ` on ${dataset}, as nothing was trained on these images yet`;
  const money = told.price === null ? "" : ` (${told.price.toFixed(2)} ${told.currency})`;
  const baselines = Object.entries(told.baseline_seconds).map(
    ([name, takes]) => `Baseline ${name} takes ${duration(takes)} of it. `,
  );
  return (
    `About ${duration(seconds)} (${seconds_range.map(duration).join(" to ")}): ${trials} ${trials === 1 ? "trial" : "trials"} of ` +
    `${duration(trial_seconds)}, ${duration(compute_seconds)} of compute${money}; ${known(trainings)}${elsewhere}${sure}. ` +
    baselines.join("") +
    (remark ? `Mind: ${remark}. ` : "") +
    training(worth)
  );
}

const known = (trainings) =>
  trainings
    ? `by ${trainings} ${trainings === 1 ? "training" : "trainings"}`
    : "by arithmetic, of a core of a processor, as nothing like it was trained here yet";

// What each candidate's training is worth.
function training({ steps, epochs, folds, images, error }) {
  const trainings = folds > 1 ? `${folds} trainings` : "A training";
  const [about, held] = folds > 1 ? ["", "held out in turns"] : ["about ", "held out"];
  const how = steps
    ? `${steps.toLocaleString("en")} steps (epochs: ${epochs})`
    : "the last layer alone, in closed form,";
  return (
    `${trainings} of ${how} for each candidate, whose accuracy is found ` +
    `on ${about}${images.toLocaleString("en")} images ${held}: ±${brief(100 * error)} points at most.`
  );
}
