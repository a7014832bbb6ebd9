// One trial as a card: what was measured, and its architecture as a table of stages.

import { latencyOn } from "./columns.js";
import { element, pill, say } from "./element.js";
import { accuracy, bytes, decimal, duration, latency, MEDIAN, short } from "./numbers.js";
import { confusion, qualityRows } from "./quality.js";
import { imagesOf, stageRows } from "./stages.js";

const HEADINGS = ["Stage", "Kernel", "Channels", "Repeats", "Output"];

// `back` shows the best one again, and `address` gives that of the page of one; either may be null.
export function trialCard(back, address = null) {
  const title = element("h2");
  const tag = element("span");
  const bestAgain = element("button", { type: "button", class: "quiet", click: back, hidden: true }, "Show the best");
  const alone = element("a", { hidden: true }, "On its own");
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
  const empty = element("p", { class: "muted" }, "Reading the trials…");
  const node = element(
    "section",
    { class: "card trial" },
    element("div", { class: "title" }, title, tag, alone, bestAgain),
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
    // `trial` is what columns say of it, `whole` the rest, null until it has been read; `network` is what is known of it
    // on the front, over all its trainings, if it is there. The `devices` are those of the search.
    show(trial, { whole, trouble, best, reward, network, devices }) {
      const drawn = trial && JSON.stringify([trial.number, trial.state, whole?.state, trouble, best, reward, network]);
      if (drawn === before && before !== null) return;
      before = drawn;
      const reading = Boolean(trial) && whole === null;
      // What is below keeps its place until the rest of it has come.
      node.style.minHeight = reading ? `${node.offsetHeight}px` : "";
      node.setAttribute("aria-busy", String(reading));
      say(empty, "The best trial appears here as soon as one has been measured.");
      empty.hidden = Boolean(trial);
      figures.hidden = !trial;
      footing.hidden = !trial;
      stages.hidden = !whole;
      bestAgain.hidden = !trial || best || !back;
      alone.hidden = !trial || !address;
      if (trial && address) alone.href = address(trial.number);
      say(title, best || !trial ? "Best trial" : `Trial ${trial.number}`);
      tag.replaceChildren(
        trial ? (best ? element("span", { class: "badge" }, `★ ${trial.number}`) : pill(trial.state)) : "",
      );
      say(why, whole?.error ?? whole?.measurement?.refused ?? trial?.remark ?? "");
      say(trace, whole?.traceback ?? "");
      where.hidden = !whole?.traceback;
      where.open = false;
      classes.show(whole?.measurement?.quality);
      if (!trial) return;
      figures.replaceChildren(
        ...rows(trial, whole, { reward, network, devices }).map(([name, value, hint]) =>
          element("div", { title: hint }, element("dt", {}, name), element("dd", {}, value)),
        ),
      );
      say(footing, whole ? imagesOf(whole.job.architecture) : (trouble ?? `Reading trial ${trial.number}…`));
      if (whole)
        body.replaceChildren(...stageRows(whole.job.architecture).map((row) => element("tr", {}, ...row.map(cell))));
    },
  };
}

function rows(trial, whole, { reward, network, devices }) {
  const measured = whole?.measurement ?? null;
  return [
    ["Validation accuracy", accuracy(trial.accuracy, measured?.accuracy_error)],
    ...(trial.single_precision === null ? [] : [["In single precision", accuracy(trial.single_precision)]]),
    ...(measured?.answers ? [["Found on", foundOn(measured.answers)]] : []),
    ...(measured?.seen ? [["Scored on", "images seen before", "by its parent or teacher, in another fold"]] : []),
    ...qualityRows(measured?.quality),
    ...(measured?.unaveraged_accuracy ? [["Without averaging", accuracy(measured.unaveraged_accuracy)]] : []),
    ...(network?.trainings > 1
      ? [[`Mean of ${network.trainings} trainings`, accuracy(network.accuracy, network.accuracy_error)]]
      : []),
    ...(network?.tied_with.length ? [["Tied with", network.tied_with.join(", ")]] : []),
    ["Reward", decimal(network?.reward ?? reward)],
    ["Multiply-adds", short(trial.mult_adds)],
    ...(whole?.job.devices ?? devices).map((device, place) => {
      return [place ? `On ${device}` : "Latency", latency(latencyOn(trial, place)), `on ${device}: ${MEDIAN}`];
    }),
    ["Parameters", short(trial.params)],
    ["Peak memory", bytes(trial.peak_memory), "of values held at once"],
    ["Weights", bytes(trial.model_bytes), "of what is stored"],
    ...(whole ? [["Trained in", trainedIn(measured)]] : []),
    ...(trial.inherited === null ? [] : [["Inherited", accuracy(trial.inherited)]]),
    ...(trial.learning_rate === null ? [] : [["Learning rate, as it diverged", decimal(trial.learning_rate)]]),
  ];
}

function foundOn({ images, folds }) {
  const words = `${images.toLocaleString("en")} held-out images`;
  return folds > 1 ? `${words}, ${folds} folds` : words;
}

function trainedIn(measured) {
  const time = duration(measured?.train_seconds || null);
  return measured?.steps ? `${time}, ${measured.steps.toLocaleString("en")} steps` : time;
}

function cell(value, index, { length }) {
  return element("td", { class: index > 0 && "number", colspan: length === 1 && HEADINGS.length }, String(value));
}
