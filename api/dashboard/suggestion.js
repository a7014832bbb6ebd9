// What fits the images that a form names: a proposal that goes into its fields, by itself where nobody has filled them, and
// out of them again.

import { element, say } from "./element.js";

const named = ({ field, value }) => `${field.slice(1).replaceAll("/", ".")} ${value}`;

// `place` finds what has the value of a field of the request; `changed` is called when a proposal was put into fields or
// taken out. It goes in `alone` only where the form names nothing of another search.
export function suggestion(place, changed, alone) {
  const touched = new Set(); // fields that somebody filled
  const before = new Map(); // what fields held before the proposal was taken; nothing while it is not
  let offered = [];
  const reasons = element("ul", { class: "reasons" });
  const button = element("button", { type: "button", click: () => turned(before.size ? undo : take) }, "");
  const offer = element("div", { hidden: true }, element("h3", {}, "What fits them"), reasons, button);
  const said = element("p", { class: "taken", role: "status" });

  const fields = () => offered.filter(({ field }) => field);
  const holds = ({ field, value }) => String(place(field).value) === String(value);

  function take() {
    for (const { field, value } of fields()) {
      const holder = place(field);
      before.set(holder, holder.value);
      holder.value = value;
    }
  }

  function undo() {
    for (const [holder, value] of before) holder.value = value;
    before.clear();
  }

  function tell() {
    button.textContent = before.size ? "Undo" : "Take this";
    const taken = fields().filter(({ field }) => before.has(place(field)));
    say(said, taken.length ? `Taken into the form: ${taken.map(named).join(", ")}.` : "");
  }

  function turned(how) {
    how();
    tell();
    changed();
  }

  return {
    node: element("div", { class: "suggestion" }, offer, said),
    // Of the images that are named now, or nothing while they are looked at.
    show(proposal) {
      if (before.size) undo();
      offered = proposal ?? [];
      offer.hidden = proposal === null;
      reasons.replaceChildren(
        ...offered.map((each) =>
          element("li", {}, ...(each.field ? [element("b", {}, named(each)), ": "] : []), each.reason),
        ),
      );
      const free = fields().every(({ field }) => !touched.has(field));
      turned(alone && touched.has("/dataset") && free ? take : () => {});
    },
    // Somebody filled that field.
    touch(field) {
      touched.add(field);
      for (const one of fields()) if (!holds(one)) before.delete(place(one.field));
      tell();
    },
  };
}
