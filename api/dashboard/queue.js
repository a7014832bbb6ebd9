// What waits, why, and in which order.

import { get, home, post } from "./api.js";
import { element, say } from "./element.js";
import { duration } from "./numbers.js";

const SOON_SECONDS = 10;

// By the id of each run that waits, the next one first; nothing is asked where none does.
export async function reasons(runs, signal) {
  if (!runs.some((run) => run.state === "queued")) return new Map();
  const { waiting } = await get("queue", signal);
  return new Map(waiting.map((each, place) => [each.run, why(each, place)]));
}

function why({ behind_name: name, seconds }, place) {
  if (name === null) return place ? `${place} before it` : "next";
  if (seconds === null) return `behind ${name}`;
  return `behind ${name}, ${seconds < SOON_SECONDS ? "any moment" : `about ${duration(seconds)}`}`;
}

// Lets a run that waits be the first or the last of those that do.
export function turns(id, moved, complain) {
  const button = (place, words) =>
    element("button", { type: "button", class: "quiet", "data-place": place, click: () => move(place) }, words);

  async function move(place) {
    try {
      await post(`queue/${encodeURIComponent(id)}/${place}`);
      complain("");
    } catch (error) {
      complain(error.message);
    }
    moved();
  }

  return element("span", { class: "turns" }, button("first", "First"), button("last", "Later"));
}

// All that wait, in their order, as a card above the list of runs.
export function queueCard(moved) {
  const lines = element("ol", { class: "queue" });
  const complaint = element("p", { class: "error", role: "alert" });
  const node = element("section", { class: "card", hidden: true }, element("h2", {}, "Waiting"), lines, complaint);
  let before = "";

  return {
    node,
    show(runs, waits) {
      const known = new Map(runs.map((run) => [run.id, run]));
      const waiting = [...waits].flatMap(([id, words]) => (known.has(id) ? [[known.get(id), words]] : []));
      const now = JSON.stringify(waiting.map(([{ id, name }, words]) => [id, name, words]));
      node.hidden = waiting.length === 0;
      if (now === before) return;
      before = now;
      const focused = document.activeElement?.closest(".queue li")?.dataset.key;
      const place = document.activeElement?.dataset.place;
      lines.replaceChildren(
        ...waiting.map(([run, words]) =>
          element(
            "li",
            { "data-key": run.id },
            element("a", { href: `#/${home(run.kind, run.id)}` }, run.name || run.id),
            element("span", { class: "muted" }, words),
            waiting.length > 1 && turns(run.id, moved, (text) => say(complaint, text)),
          ),
        ),
      );
      lines.querySelector(`[data-key="${focused}"] [data-place="${place}"]`)?.focus();
    },
  };
}
