// A question before what cannot be undone.

import { element } from "./element.js";

export function confirmation(what) {
  const node = element(
    "dialog",
    { "aria-labelledby": "sure" },
    element(
      "form",
      { method: "dialog" },
      element("h2", { id: "sure" }, `Cancel this ${what}?`),
      element("p", {}, "Trials that are running are ended at once and lost; finished ones stay. It cannot be resumed."),
      element(
        "div",
        { class: "actions" },
        element("button", { value: "no" }, "Keep it"),
        element("button", { value: "yes", class: "danger" }, `Cancel the ${what}`),
      ),
    ),
  );
  return {
    node,
    ask() {
      node.returnValue = "no";
      node.showModal();
      return new Promise((resolve) =>
        node.addEventListener("close", () => resolve(node.returnValue === "yes"), { once: true }),
      );
    },
  };
}
