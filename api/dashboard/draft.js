// What somebody has typed into a form and not sent: it is there again whatever came between, as long as the tab is open.

import { element } from "./element.js";

// Of the form for a search like that one, or for a new one.
export function draft(like) {
  const key = `draft ${like}`;
  const typed = JSON.parse(sessionStorage.getItem(key) ?? "{}"); // by the names of the fields
  const node = element("button", { type: "button", class: "quiet", click: again }, "Start over");

  function told() {
    node.hidden = Object.keys(typed).length === 0;
  }

  function forget() {
    sessionStorage.removeItem(key);
  }

  function again() {
    forget();
    dispatchEvent(new HashChangeEvent("hashchange"));
  }

  told();
  return {
    node,
    forget,
    note({ name, value }) {
      if (!name) return;
      typed[name] = value;
      sessionStorage.setItem(key, JSON.stringify(typed));
      told();
    },
    // Into its fields, whose names are returned.
    restore(form) {
      const there = Object.keys(typed).filter((name) => form.elements.namedItem(name));
      for (const name of there) {
        const control = form.elements.namedItem(name);
        control.value = typed[name];
        const closed = control.closest("details");
        if (closed) closed.open = true;
      }
      return there;
    },
  };
}
