// The list of runs, and what to do when there are none.

import { get, home, query } from "./api.js";
import { command } from "./command.js";
import { comparison, MOST_SIDES } from "./compare.js";
import { bar, element, pill, say } from "./element.js";
import { counted, progressOf, shownState } from "./heading.js";
import { ago, duration, percent } from "./numbers.js";
import { note, said } from "./place.js";
import { queueCard, reasons } from "./queue.js";
import { table } from "./table.js";

const MOST = 1000; // runs in one answer
const FIRST = { name: "first", dataset: "fashion_mnist", trials: 20, objective: { cost: "mult_adds", target: 5e6 } };

const where = (run) => `#/${home(run.kind, run.id)}`;

export function runsPage(page, again) {
  let [most, known] = [100, []];
  const ticked = new Set();
  const compare = element("a", { class: "button", hidden: true });
  document.title = "Runs · Architecture search";
  const list = table({
    label: "runs",
    addressed: true,
    key: (run) => run.id,
    empty: "No run is like that.",
    stacked: true,
    columns: [
      { title: "Compare", text: (run) => run.kind, fill: tick },
      {
        title: "Run",
        text: (run) => [run.name || run.id, ...run.tags].join(" "),
        value: (run) => run.name || run.id,
        fill: name,
        wide: true,
      },
      {
        title: "State",
        text: shownState,
        value: shownState,
        fill: (cell, run) => cell.replaceChildren(pill(shownState(run))),
      },
      {
        title: "Progress",
        text: (run) => `${counted(run)} ${progressOf(run)}`,
        value: progressOf,
        fill: progress,
      },
      {
        title: "Best",
        number: true,
        named: true,
        text: (run) => percent(best(run)),
        value: best,
        hint: "accuracy, or the metric that was asked for, of a search's best trial by reward, or of the best of a growth's members",
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
  const text = element("input", {
    type: "search",
    "aria-label": "Only runs with",
    placeholder: "name, tag, images, owner",
    value: said().text ?? "",
    input: filtered,
  });
  const away = element("input", { type: "checkbox", checked: said().archived === "true", change: filtered });
  const filters = element(
    "div",
    { class: "filters", role: "search" },
    text,
    element("label", { class: "check" }, away, "Archived"),
  );
  const filled = element("section", { class: "card" }, filters, list.node, older);
  filled.hidden = true;
  const count = element("p", { class: "muted", "aria-live": "polite" }, " ");
  const idle = element("p", { class: "card idle", role: "status" });
  const queue = queueCard(again);
  page.replaceChildren(
    element("header", { class: "page-title" }, element("h1", {}, "Runs"), count, compare),
    idle,
    queue.node,
    start,
    filled,
  );

  function filtered(event) {
    note({ text: text.value, archived: away.checked || null });
    if (event.target === away) again();
    else list.show(known.filter((run) => has(run, text.value)));
  }

  function tick(cell, run) {
    if (run.kind !== "search" && run.kind !== "growth") return;
    const change = ({ target }) => {
      if (target.checked) ticked.add(run.id);
      else ticked.delete(run.id);
      compare.hidden = ticked.size < 2 || ticked.size > MOST_SIDES;
      compare.href = comparison([...ticked]);
      say(compare, `Compare ${ticked.size} runs`);
    };
    const label = `Compare ${run.name || run.id}`;
    cell.replaceChildren(
      element("input", { type: "checkbox", "aria-label": label, checked: ticked.has(run.id), change }),
    );
  }

  return async function refresh(signal) {
    const { runs, next } = await get(`runs${query({ limit: most, archived: away.checked })}`, signal);
    queue.show(runs, await reasons(runs, signal));
    known = runs;
    list.show(runs.filter((run) => has(run, text.value)));
    start.hidden = runs.length > 0 || away.checked;
    filled.hidden = runs.length === 0 && !away.checked;
    say(idle, await waiting(runs, signal));
    older.hidden = next === null || most === MOST;
    const active = runs.filter((run) => run.state === "running").length;
    say(count, runs.length ? `${active} running` : " ");
  };
}

// Whether every word of the text is in what is said of the run.
function has(run, text) {
  const own = [run.id, run.kind, run.name, ...run.tags, run.note, run.spec.dataset, run.submitted_by, shownState(run)];
  const words = own.filter(Boolean).join("\n").toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => words.includes(word));
}

// Runs that nobody takes up: the service knows for how long.
async function waiting(runs, signal) {
  if (!runs.some((run) => run.state === "queued")) return "";
  const { status, waiting_seconds } = await get("health", signal);
  if (status !== "waiting") return "";
  return `A run has been waiting for ${duration(waiting_seconds)} and nothing is worked on. Start a coordinator: python -m workers`;
}

function best(run) {
  if (run.kind !== "growth") return run.best?.value ?? null;
  const values = run.family.map(({ value }) => value).filter((value) => value !== null);
  return values.length ? Math.max(...values) : null;
}

function name(cell, run) {
  // With spaces between, at which a line may break: without them the name's last word goes along with the tags.
  const tags = run.tags.flatMap((tag) => [" ", element("span", { class: "kind tag" }, tag)]);
  const kind = element("span", { class: "kind" }, run.kind);
  cell.replaceChildren(element("a", { href: where(run) }, run.name || run.id), " ", kind, ...tags);
}

function progress(cell, run) {
  const gauge = bar(`Trials of ${run.name || run.id} that have ended`);
  gauge.show(progressOf(run));
  cell.replaceChildren(element("div", { class: "gauge" }, gauge.node, element("span", {}, counted(run))));
}
