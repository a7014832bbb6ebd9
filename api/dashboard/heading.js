// The top of a run's page: what it is, how far it is, and what can be wished of it.

import { home, patch, post, remove } from "./api.js";
import { budget } from "./budget.js";
import { confirmation } from "./confirmation.js";
import { bar, element, pill, say } from "./element.js";
import { label } from "./label.js";
import { duration, moment } from "./numbers.js";
import { reasons, turns } from "./queue.js";

const PENDING = { pause: "pausing", stop: "stopping", cancel: "cancelling", run: "resuming" };
const UNITS = { search: "trials", growth: "trainings", benchmark: "measurements", proxy: "trainings" };
export const ended = (run) => run.ended_at !== null;

// Those that came to something: what was cancelled did not.
export const settled = ({ counts }) => counts.done + counts.refused + counts.failed;

// How far it is, from 0 to 1: a run that is finished is, also where it had no need of all its trials.
export const progressOf = (run) => (run.state === "finished" ? 1 : settled(run) / run.trials);

// How many it came to, of how many that it might have had.
export function counted(run) {
  const [over, fewer] = [settled(run), run.state === "finished" && settled(run) < run.trials];
  return `${over.toLocaleString("en")} of ${fewer ? "at most " : ""}${run.trials.toLocaleString("en")}`;
}

// A wish that the coordinator has not come to yet is shown as such: "pausing".
export function shownState(run) {
  if (ended(run)) return run.state;
  if (run.wish === "pause" && run.state === "paused") return "paused";
  if (run.wish !== "run") return PENDING[run.wish];
  return run.state === "paused" ? PENDING.run : run.state;
}

export function heading(kind, id, changed) {
  const [title, state] = [element("h1"), element("span")];
  const facts = element("p", { class: "facts muted" });
  const images = element("p", { class: "remarks muted", "aria-label": "Its images" });
  const objective = element("p", { class: "objective" });
  const verdict = element("p", { class: "verdict" });
  const count = element("p", { "aria-live": "polite" });
  const times = element("p", { class: "muted" });
  const reason = element("p", { class: "reason muted" });
  const order = turns(
    id,
    () => changed(),
    (text) => say(complaint, text),
  );
  const waits = element("div", { class: "waits" }, reason, order);
  order.hidden = true;
  const complaint = element("p", { class: "error", role: "alert" });
  const progress = bar("Trials that have ended");
  const wishes = Object.fromEntries(
    [
      ["pause", "Pause"],
      ["resume", "Resume"],
      ["stop", "Stop"],
      ["cancel", "Cancel"],
    ].map(([verb, words]) => [
      verb,
      element("button", { type: "button", class: verb === "cancel" ? "danger" : "", click: () => wish(verb) }, words),
    ]),
  );
  const erase = element("button", { type: "button", class: "danger", click: erased }, "Delete");
  const written = label(id, () => changed());
  const raise = budget((values) => act(() => patch(home(kind, id), values)));
  const sure = confirmation(
    `Cancel this ${kind}?`,
    "Trials that are running are ended at once and lost; finished ones stay. It cannot be resumed.",
    `Cancel the ${kind}`,
  );
  const surely = confirmation(
    `Delete this ${kind}?`,
    "Its trials, its events and its models go, weights and files as well, for good. What another run needs, or is pinned, is refused.",
    `Delete the ${kind}`,
  );
  // There to be clicked once it is known what they are about.
  const actions = element(
    "div",
    { class: "actions", hidden: true },
    ...Object.values(wishes),
    raise.node,
    written.button,
    erase,
    ...links(kind, id),
  );
  const node = element(
    "header",
    { class: "card heading" },
    element("div", { class: "title" }, title, state),
    written.node,
    verdict,
    facts,
    images,
    objective,
    element("div", { class: "how-far" }, progress.node, element("div", { class: "counts" }, count, times)),
    waits,
    actions,
    complaint,
    sure.node,
    surely.node,
  );

  async function act(request) {
    say(complaint, "");
    try {
      await request();
    } catch (error) {
      say(complaint, error.message);
    }
    changed();
  }

  async function wish(verb) {
    if (verb === "cancel" && !(await sure.ask())) return;
    await act(() => post(`${home(kind, id)}/${verb}`));
  }

  async function erased() {
    if (!(await surely.ask())) return;
    await act(async () => {
      await remove(home(kind, id));
      location.hash = "#/";
    });
  }

  // Whoever pressed a button that can be pressed no more goes on from the one that takes over.
  function follow(pressed) {
    if (pressed && !usable(pressed)) [wishes.pause, wishes.resume, written.button].find(usable).focus();
  }

  return {
    node,
    show(run, words) {
      const pressed = [...Object.values(wishes), erase].find((button) => button === document.activeElement);
      document.title = `${run.name || run.id} · Architecture search`;
      say(title, run.name || run.id);
      written.show(run);
      const now = shownState(run);
      if (state.textContent !== now) state.replaceChildren(pill(now));
      say(verdict, run.verdict ?? "");
      say(facts, words.facts);
      const remarks = run.spec.contents?.remarks ?? [];
      say(images, remarks.map(({ text }) => `Images: ${text}`).join("\n"));
      say(objective, words.objective);
      progress.show(progressOf(run));
      say(count, tally(run, words.units ?? UNITS[kind]));
      say(times, timing(run));
      wishes.pause.disabled = run.wish !== "run";
      wishes.resume.disabled = run.wish === "run";
      wishes.stop.disabled = run.wish === "stop" || run.wish === "cancel";
      wishes.cancel.disabled = run.wish === "cancel";
      for (const button of Object.values(wishes)) button.hidden = ended(run);
      erase.hidden = !ended(run) && run.state !== "paused";
      raise.node.hidden = kind !== "search" || (ended(run) && run.state !== "finished");
      raise.show(run);
      actions.hidden = false;
      follow(pressed);
      if (run.error) say(complaint, run.error);
      order.hidden = run.state !== "queued";
      if (run.state !== "queued") say(reason, run.reason ?? "");
      else reasons([run]).then((why) => say(reason, why.has(run.id) ? `Waits: ${why.get(run.id)}` : ""), ignored);
    },
  };
}

const usable = (button) => !button.disabled && !button.hidden;

// What else there is of it.
function links(kind, id) {
  if (kind !== "search" && kind !== "growth") return [];
  const run = encodeURIComponent(id);
  return [
    kind === "search" && element("a", { class: "button", href: `#/new/${run}` }, "Search again like this"),
    element("a", { class: "button", href: `#/compare/${run}` }, "Compare"),
    element("a", { class: "button", href: `v1/runs/${run}/report`, target: "_blank" }, "Report"),
  ].filter(Boolean);
}

const ignored = () => {}; // whoever asked for the run says what is the matter

function tally(run, units) {
  const parts = ["running", "refused", "failed", "cancelled"]
    .filter((name) => run.counts[name])
    .map((name) => `${run.counts[name].toLocaleString("en")} ${name}${name === "refused" ? saved(run) : ""}`);
  return [`${counted(run)} ${units}`, ...parts].join(" · ");
}

function saved(run) {
  return run.saved_seconds >= 1 ? ` (about ${duration(run.saved_seconds)} of training saved)` : "";
}

function timing(run) {
  const by = run.submitted_by === null ? null : `submitted by ${run.submitted_by}`;
  if (run.started_at === null) return [`created ${moment(run.created_at)}`, by].filter(Boolean).join(" · ");
  const left = run.remaining_seconds >= 1 ? `about ${duration(run.remaining_seconds)} left` : null;
  const compute = run.compute_seconds >= 1 ? `${of(run.compute_seconds, run.spec.compute_hours)} of compute` : null;
  return [`started ${moment(run.started_at)}`, of(run.seconds, run.spec.hours), compute, left, by]
    .filter(Boolean)
    .join(" · ");
}

// Seconds, and the hours that they must not exceed.
function of(seconds, hours) {
  return hours ? `${duration(seconds)} of ${duration(3600 * hours)}` : duration(seconds);
}
