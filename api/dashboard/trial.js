// One trial as a card: what was measured, and its architecture as a table of stages.

import { element, pill, say } from "./element.js";
import { accuracy, decimal, duration, latency, MEDIAN, short } from "./numbers.js";
import { confusion, qualityRows } from "./quality.js";
import { latencyOn } from "./scatter.js";
import { imagesOf, stageRows } from "./stages.js";

const HEADINGS = ["Stage", "Kernel", "Channels", "Repeats", "Output"];

export function trialCard(back) {
  const title = element("h2");
  const tag = element("span");
  const bestAgain = element("button", { type: "button", class: "quiet", click: back, hidden: true }, "Show the best");
  const figures = element("dl", { class: "figures" });
  const why = element("p", { class: "error" });
  const trace = element("pre");
  const where = element("details", { hidden: true }, element("summary", {}, "Where in the code"), trace);
  const body = element("tbody");
  const stages = element(
    "table",
    { class: "stages", "aria-label": "Architecture", hidden: true },
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        ...HEADINGS.map((words, index) => element("th", { scope: "col", class: index > 0 && "number" }, words)),
      ),
    ),
    body,
  );
  const classes = confusion();
  const footing = element("p", { class: "muted" });
  const empty = element("p", { class: "muted" }, "The best trial appears here as soon as one has been measured.");
  const node = element(
    "section",
    { class: "card trial" },
    element("div", { class: "title" }, title, tag, bestAgain),
    empty,
    figures,
    classes.node,
    why,
    where,
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Architecture" }, stages),
    footing,
  );
  let before = null;

  return {
    node,
    // `network` is what is known of it on the front, over all its trainings, if it is there.
    show(trial, best, reward, network) {
      const drawn = trial && JSON.stringify([trial.number, trial.state, best, reward, network]);
      if (drawn === before && before !== null) return;
      before = drawn;
      empty.hidden = Boolean(trial);
      for (const part of [figures, stages, footing]) part.hidden = !trial;
      bestAgain.hidden = !trial || best;
      say(title, best || !trial ? "Best trial" : `Trial ${trial.number}`);
      tag.replaceChildren(
        trial ? (best ? element("span", { class: "badge" }, `★ ${trial.number}`) : pill(trial.state)) : "",
      );
      say(why, trial?.error ?? trial?.measurement?.refused ?? "");
      say(trace, trial?.traceback ?? "");
      where.hidden = !trial?.traceback;
      where.open = false;
      classes.show(trial?.measurement?.quality);
      if (!trial) return;
      const measured = trial.measurement;
      const rows = [
        ["Validation accuracy", accuracy(measured?.accuracy, measured?.accuracy_error)],
        ...(measured?.answers ? [["Found on", foundOn(measured.answers)]] : []),
        ...qualityRows(measured?.quality),
        ...(measured?.unaveraged_accuracy ? [["Without averaging", accuracy(measured.unaveraged_accuracy)]] : []),
        ...(network?.trainings > 1
          ? [[`Mean of ${network.trainings} trainings`, accuracy(network.accuracy, network.accuracy_error)]]
          : []),
        ...(network?.tied_with.length ? [["Tied with", network.tied_with.join(", ")]] : []),
        ["Reward", decimal(network?.reward ?? reward)],
        ["Multiply-adds", short(measured?.mult_adds)],
        ...trial.job.devices.map((device, place) => {
          const its = latencyOn(trial, device);
          return [place ? `On ${device}` : "Latency", latency(its), `on ${device}: ${its?.noisy || MEDIAN}`];
        }),
        ["Parameters", short(measured?.params)],
        ["Trained in", trainedIn(measured)],
        ...((measured?.inherited ?? null) === null ? [] : [["Inherited", accuracy(measured.inherited)]]),
        ...(slowedTo(trial) ? [["Learning rate, as it diverged", decimal(slowedTo(trial))]] : []),
      ];
      figures.replaceChildren(
        ...rows.map(([name, value, hint]) =>
          element("div", { title: hint }, element("dt", {}, name), element("dd", {}, value)),
        ),
      );
      body.replaceChildren(...stageRows(trial.job.architecture).map((row) => element("tr", {}, ...row.map(cell))));
      say(footing, imagesOf(trial.job.architecture));
    },
  };
}

function foundOn({ images, folds }) {
  const words = `${images.toLocaleString("en")} held-out images`;
  return folds > 1 ? `${words}, ${folds} folds` : words;
}

function trainedIn(measured) {
  const time = duration(measured?.train_seconds || null);
  return measured?.steps ? `${time}, ${measured.steps.toLocaleString("en")} steps` : time;
}

// The learning rate that it was trained at, where it diverged at that of its recipe; otherwise null.
export function slowedTo({ job, measurement }) {
  const rate = measurement?.learning_rate ?? null;
  return rate === job.recipe?.learning_rate ? null : rate;
}

function cell(value, index, { length }) {
  return element("td", { class: index > 0 && "number", colspan: length === 1 && HEADINGS.length }, String(value));
}
