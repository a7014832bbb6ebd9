// The form that grows a trial into a family.

import { post } from "./api.js";
import { element, say } from "./element.js";
import { fields } from "./fields.js";

export async function growForm(search) {
  const said = await fields("GrowthRequest");
  let [number, name] = [null, ""];
  const { choices, initial: usual } = said("/members");
  const boxes = choices.map((value) =>
    element("input", { type: "checkbox", name: "members", value, checked: usual.includes(value) }),
  );
  const epochs = element("input", {
    type: "number",
    name: "epochs",
    id: "grow-epochs",
    min: 1,
    placeholder: "auto",
    title: `${said("/recipe/epochs").hint}; where none are given, as many as it takes`,
  });
  const seeds = element("input", {
    type: "number",
    name: "seeds",
    id: "grow-seeds",
    min: 1,
    value: said("/seeds").initial,
    required: true,
  });
  const images = said("/scored_on");
  const scored = element(
    "select",
    { name: "scored_on", id: "grow-scored-on", title: images.hint },
    ...images.choices.map((value) => element("option", { value, selected: value === images.initial }, value)),
  );
  const heirs = said("/inherit");
  const inherit = element("input", { type: "checkbox", name: "inherit", title: heirs.hint, checked: heirs.initial });
  const worse = said("/drop_dominated");
  const drop = element("input", {
    type: "checkbox",
    name: "drop_dominated",
    title: worse.hint,
    checked: worse.initial,
  });
  const ancestor = said("/parent");
  const parent = element("input", {
    name: "parent",
    id: "grow-parent",
    placeholder: "as in the search",
    title: ancestor.hint,
    autocomplete: "off",
  });
  const button = element("button", { class: "primary" }, "Grow this");
  const complaint = element("p", { class: "error", role: "alert" });
  const node = element(
    "form",
    { class: "grow", hidden: true, novalidate: true, submit, input: () => say(complaint, "") },
    element(
      "fieldset",
      { class: "members" },
      element("legend", {}, "Grow it into a family, each trained whole and scored once"),
      ...boxes.map((box) => element("label", {}, box, element("span", {}, box.value))),
    ),
    element(
      "div",
      { class: "actions" },
      element("label", { for: "grow-epochs" }, "Epochs"),
      epochs,
      element("label", { for: "grow-seeds" }, "Seeds"),
      seeds,
      element("span", { class: "pair" }, element("label", { for: "grow-scored-on" }, "Scored on"), scored),
      element("label", { class: "check", title: heirs.hint }, inherit, element("span", {}, "Inherit")),
      element("label", { class: "check", title: worse.hint }, drop, element("span", {}, "Drop dominated")),
      element("span", { class: "pair" }, element("label", { for: "grow-parent" }, "Parent"), parent),
      button,
    ),
    complaint,
  );

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    say(complaint, "");
    try {
      const members = boxes.filter((box) => box.checked).map((box) => box.value);
      const growth = await post("growths", {
        name,
        search,
        trial: number,
        members,
        recipe: epochs.value ? { epochs: epochs.valueAsNumber } : {},
        seeds: seeds.valueAsNumber,
        scored_on: scored.value,
        inherit: inherit.checked,
        drop_dominated: drop.checked,
        parent: parent.value.trim() || null,
      });
      location.hash = `#/growths/${encodeURIComponent(growth.id)}`;
    } catch (error) {
      say(complaint, error.message);
    }
    button.disabled = false;
  }

  return {
    node,
    show(trial, searched) {
      name = `${searched} · trial ${trial?.number}`;
      number = trial?.number ?? null;
      node.hidden = (trial?.accuracy ?? null) === null;
      say(button, `Grow trial ${number}`);
    },
  };
}
