// The log of a run, newest first.

import { get, home, query } from "./api.js";
import { element, say } from "./element.js";
import { clock, moment } from "./numbers.js";

const MOST = 200; // lines that stay
const PAGE = 500; // events in one answer

export function events(kind, id) {
  const lines = element("ol", { class: "log" });
  const empty = element("p", { class: "muted" }, "Reading the events…");
  const node = element(
    "section",
    { class: "card" },
    element("h2", {}, "Events"),
    element("div", { class: "scroll-log", tabindex: 0, role: "region", "aria-label": "Events" }, lines, empty),
  );
  let last = 0;

  function add({ id, at, text, by }) {
    last = id;
    const time = element("time", { datetime: new Date(1000 * at).toISOString(), title: moment(at) }, clock(at));
    lines.prepend(element("li", {}, time, element("span", {}, by ? `${text}, by ${by}` : text)));
    if (lines.children.length > MOST) lines.lastChild.remove();
  }

  return {
    node,
    async refresh(signal) {
      let events;
      do {
        ({ events } = await get(`${home(kind, id)}/events${query({ after: last, limit: PAGE })}`, signal));
        events.forEach(add);
      } while (events.length === PAGE);
      say(empty, "Nothing has happened yet.");
      empty.hidden = last > 0;
    },
  };
}
