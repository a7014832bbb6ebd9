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
  let answer = () => {};
  // Is told some time after the dialog closed: it may have been opened again since.
  node.addEventListener("close", () => node.open || answer(node.returnValue === "yes"));
  return {
    node,
    ask() {
      answer(false);
      node.returnValue = "no";
      node.showModal();
      return new Promise((resolve) => {
        answer = resolve;
      });
    },
  };
}
