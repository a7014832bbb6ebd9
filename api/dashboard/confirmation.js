// A question before what cannot be undone.

import { element } from "./element.js";

export function confirmation(question, consequences, verb) {
  const node = element(
    "dialog",
    { "aria-label": question },
    element(
      "form",
      { method: "dialog" },
      element("h2", {}, question),
      element("p", {}, consequences),
      element(
        "div",
        { class: "actions" },
        element("button", { value: "no" }, "Keep it"),
        element("button", { value: "yes", class: "danger" }, verb),
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
