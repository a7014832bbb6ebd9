// One trial as a card: what was measured, and its architecture as a table of stages.

import { latencyOn } from "./columns.js";
import { element, pill, say } from "./element.js";
import { noise, noiseBadge, rough } from "./noise.js";
import { accuracy, bytes, decimal, duration, latency, MEDIAN, milliseconds, short } from "./numbers.js";
import { confusion, qualityRows } from "./quality.js";
import { imagesOf, stageRows } from "./stages.js";

const HEADINGS = ["Stage", "Kernel", "Channels", "Repeats", "Output"];

// `back` shows the best one again, `address` gives that of the page of one, and `measure` has the latency of one measured
// again; each may be null.
export function trialCard(back, { address = null, measure = null }) {
  const title = element("h2", { tabindex: -1 });
  const tag = element("span");
  const bestAgain = element("button", { type: "button", class: "quiet", click: back, hidden: true }, "Show the best");
  const alone = element("a", { hidden: true }, "On its own");
  const figures = element("dl", { class: "figures" });
  const [noisy, complaint] = [element("p", { class: "remark" }), element("p", { class: "error", role: "alert" })];
  const again = element("button", { type: "button", click: measured }, "Measure again");
  const roughly = element("div", { class: "roughly", hidden: true }, noisy, again, complaint);
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
    roughly,
    classes.node,
    why,
    where,
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Architecture" }, stages),
    footing,
  );
  let [before, now] = [null, null];

  // The keyboard stays on the button while it waits, and goes on from the title once there is none.
  async function measured() {
    if (again.ariaDisabled === "true") return;
    say(complaint, "");
    try {
      again.ariaDisabled = "true";
      await measure(now);
    } catch (error) {
      again.ariaDisabled = "false";
      say(complaint, error.message);
    }
  }

  return {
    node,
    // Of what is not to come.
    without: (words) => say(empty, words),
    // `trial` is what columns say of it, `whole` the rest, null until it has been read; `network` is what is known of it
    // on the front, over all its trainings, if it is there. The `run` is its search.
    show(trial, { whole, trouble, best, reward, network, run }) {
      const { devices } = run.spec;
      const waits = trial !== null && run.again.includes(trial.number);
      const shown = [trial, whole?.state, trouble, best, reward, network, waits, run.state];
      const drawn = trial && JSON.stringify(shown);
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
      now = trial?.number ?? null;
      const pressed = document.activeElement === again;
      roughly.hidden = !trial || !devices.some((_, place) => rough(latencyOn(trial, place)));
      if (pressed && roughly.hidden) title.focus();
      if (!trial) return;
      say(noisy, roughness(trial, whole, devices));
      again.hidden = !measure || (run.ended_at !== null && run.state !== "finished");
      again.ariaDisabled = String(waits);
      say(again, waits ? "Waits to be measured again" : "Measure again");
      say(complaint, "");
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
      const its = latencyOn(trial, place);
      const value = element("span", {}, latency(its), noiseBadge(its));
      return [place ? `On ${device}` : "Latency", value, `on ${device}: ${MEDIAN}`];
    }),
    ...(whole?.job.predicted_ms ? [["Predicted latency", milliseconds(whole.job.predicted_ms)]] : []),
    ["Parameters", short(trial.params)],
    ["Peak memory", bytes(trial.peak_memory), "of values held at once"],
    ["Weights", bytes(trial.model_bytes), "of what is stored"],
    ...(whole ? [["Trained in", trainedIn(measured)]] : []),
    ...(trial.inherited === null ? [] : [["Inherited", accuracy(trial.inherited)]]),
    ...(trial.learning_rate === null ? [] : [["Learning rate, as it diverged", decimal(trial.learning_rate)]]),
  ];
}

// Which of its latencies are noisy, and why.
function roughness(trial, whole, devices) {
  const told = devices.map((device, place) => {
    const [shown, measured] = [latencyOn(trial, place), whole?.measurement?.latencies[device]];
    const words = noise(measured?.error_ms === shown?.error_ms ? measured : shown);
    return words && `${place ? `Latency on ${device}` : "Latency"} is ${words}.`;
  });
  return [...told.filter(Boolean), "It decides no star while others can."].join(" ");
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
