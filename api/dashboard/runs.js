// The list of runs, and what to do when there are none.

import { get, home, query } from "./api.js";
import { command } from "./command.js";
import { bar, element, pill, say } from "./element.js";
import { scored } from "./family.js";
import { shownState, trialsEnded } from "./heading.js";
import { ago, duration, percent } from "./numbers.js";
import { table } from "./table.js";

const MOST = 1000; // runs in one answer
const FIRST = { name: "first", dataset: "fashion_mnist", trials: 20, objective: { cost: "mult_adds", target: 5e6 } };

const where = (run) => `#/${home(run.kind, run.id)}`;

export function runsPage(page, again) {
  let most = 100;
  document.title = "Runs · Architecture search";
  const list = table({
    label: "runs",
    key: (run) => run.id,
    empty: "",
    stacked: true,
    columns: [
      { title: "Run", text: (run) => run.name || run.id, value: (run) => run.name || run.id, fill: name, wide: true },
      {
        title: "State",
        text: shownState,
        value: shownState,
        fill: (cell, run) => cell.replaceChildren(pill(shownState(run))),
      },
      {
        title: "Progress",
        text: (run) => `${trialsEnded(run)}/${run.trials}`,
        value: (run) => trialsEnded(run) / run.trials,
        fill: progress,
      },
      {
        title: "Best",
        number: true,
        text: (run) => percent(best(run)),
        value: best,
        hint: "validation accuracy of a search's best trial by reward, highest test accuracy of a growth's members",
      },
      {
        title: "Reward",
        number: true,
        minor: true,
        text: (run) => run.best?.reward?.toFixed(4) ?? "–",
        value: (run) => run.best?.reward ?? null,
      },
      { title: "Data", minor: true, text: (run) => run.spec.dataset ?? "–", value: (run) => run.spec.dataset },
      { title: "Space", minor: true, text: (run) => run.spec.space, value: (run) => run.spec.space },
      { title: "By", minor: true, text: (run) => run.submitted_by ?? "–", value: (run) => run.submitted_by },
      {
        title: "Created",
        number: true,
        minor: true,
        text: (run) => ago(run.created_at),
        value: (run) => run.created_at,
      },
    ],
  });
  const start = element(
    "section",
    { class: "card empty", hidden: true },
    element("h2", {}, "No search yet"),
    element("p", {}, "Start one from a terminal, or ", element("a", { href: "#/new" }, "fill in the form"), ":"),
    command("searches", FIRST).node,
    element("p", { class: "muted" }, "It appears here at once, and its trials as soon as a worker is up."),
  );
  const click = () => {
    most = MOST;
    again();
  };
  const older = element("button", { type: "button", class: "quiet", click }, "Older runs");
  const filled = element("section", { class: "card" }, list.node, older);
  filled.hidden = true;
  const count = element("p", { class: "muted", "aria-live": "polite" }, " ");
  const idle = element("p", { class: "card idle", role: "status" });
  page.replaceChildren(
    element("header", { class: "page-title" }, element("h1", {}, "Runs"), count),
    idle,
    start,
    filled,
  );

  return async function refresh(signal) {
    const { runs, next } = await get(`runs${query({ limit: most })}`, signal);
    list.show(runs);
    start.hidden = runs.length > 0;
    filled.hidden = runs.length === 0;
    say(idle, await waiting(runs, signal));
    older.hidden = next === null || most === MOST;
    const active = runs.filter((run) => run.state === "running").length;
    say(count, runs.length ? `${active} running` : " ");
  };
}

// Runs that nobody takes up: the service knows for how long.
async function waiting(runs, signal) {
  if (!runs.some((run) => run.state === "queued")) return "";
  const { status, waiting_seconds } = await get("health", signal);
  if (status !== "waiting") return "";
  return `A run has been waiting for ${duration(waiting_seconds)} and nothing is worked on. Start a coordinator: python -m workers`;
}

function best(run) {
  if (run.kind !== "growth") return run.best?.accuracy ?? null;
  const accuracies = run.family.map(scored).filter((accuracy) => accuracy !== null);
  return accuracies.length ? Math.max(...accuracies) : null;
}

function name(cell, run) {
  const kind = element("span", { class: "kind" }, run.kind);
  cell.replaceChildren(element("a", { href: where(run) }, run.name || run.id), kind);
}

function progress(cell, run) {
  const gauge = bar(`Trials of ${run.name || run.id} that have ended`);
  gauge.show(trialsEnded(run) / run.trials);
  cell.replaceChildren(
    element("div", { class: "gauge" }, gauge.node, element("span", {}, `${trialsEnded(run)} of ${run.trials}`)),
  );
}
