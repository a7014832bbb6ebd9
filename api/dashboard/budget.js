// What a search may spend, to be changed: its trials, and the hours and compute hours of one that is held to them.

import { element } from "./element.js";

const STEPS = { trials: 1, hours: "any", compute_hours: "any" };
const WORDS = { trials: "Trials", hours: "Hours", compute_hours: "Compute hours" };

export function budget(save) {
  const fields = Object.entries(STEPS).map(([name, step]) => field(name, step));
  const button = element("button", {}, "Raise budget"); // the keyboard stays on it, also while there is nothing to raise
  const inputs = fields.map((one) => one.node);
  const node = element("form", { class: "raise", hidden: true, input: changed, submit: asked }, ...inputs, button);

  function changed() {
    button.ariaDisabled = String(!fields.some((one) => one.edited()));
  }

  async function asked(event) {
    event.preventDefault();
    const edited = fields.filter((one) => one.edited());
    if (edited.length) await save(Object.fromEntries(edited.map((one) => [one.name, one.input.valueAsNumber])));
  }

  return {
    node,
    show(run) {
      for (const one of fields) one.show(one.name === "trials" ? run.trials : run.spec[one.name]);
      changed();
    },
  };
}

function field(name, step) {
  const input = element("input", { id: `budget-${name}`, name, type: "number", min: step === "any" ? 0 : 1, step });
  const node = element("span", {}, element("label", { for: input.id }, WORDS[name]), input);
  let shown = null;
  return {
    name,
    node,
    input,
    edited: () => input.value !== "" && input.valueAsNumber !== shown,
    // What somebody has typed stays until it is so.
    show(value) {
      node.hidden = value === null || value === undefined;
      if (!node.hidden && (shown === null || input.valueAsNumber === shown)) input.value = value;
      shown = value ?? null;
    },
  };
}
