// The form that grows a trial into a family.

import { post } from "./api.js";
import { element, say } from "./element.js";

const MEMBERS = ["B0", "B1", "B2", "B3", "B4", "B5", "B6", "B7"];
const USUAL = 4;

export function growForm(search) {
  let [number, name] = [null, ""];
  const boxes = MEMBERS.map((member, index) =>
    element("input", { type: "checkbox", name: "members", value: member, checked: index < USUAL }),
  );
  const epochs = element("input", {
    type: "number",
    name: "epochs",
    id: "grow-epochs",
    min: 1,
    value: 20,
    required: true,
  });
  const seeds = element("input", { type: "number", name: "seeds", id: "grow-seeds", min: 1, value: 1, required: true });
  const button = element("button", { class: "primary" }, "Grow this");
  const complaint = element("p", { class: "error", role: "alert" });
  const node = element(
    "form",
    { class: "grow", hidden: true, submit },
    element(
      "fieldset",
      { class: "members" },
      element("legend", {}, "Grow it into a family, each trained whole and tested once"),
      ...boxes.map((box) => element("label", {}, box, element("span", {}, box.value))),
    ),
    element(
      "div",
      { class: "actions" },
      element("label", { for: "grow-epochs" }, "Epochs"),
      epochs,
      element("label", { for: "grow-seeds" }, "Seeds"),
      seeds,
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
        recipe: { epochs: epochs.valueAsNumber },
        seeds: seeds.valueAsNumber,
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
      node.hidden = trial?.measurement?.accuracy === null || trial?.measurement?.accuracy === undefined;
      say(button, `Grow trial ${number}`);
    },
  };
}
