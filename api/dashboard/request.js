// What a form asks for. A control is named by the place of its value in the request ("/recipe/epochs"), which is how the
// service says where a value is wrong.

import { element } from "./element.js";
import { PRESETS } from "./objective.js";

export function request(form) {
  const body = {};
  for (const control of form.elements) {
    const value = control.type === "number" ? control.valueAsNumber : control.value?.trim();
    if (!control.name || value === "" || Number.isNaN(value)) continue;
    const [last, ...path] = control.name.slice(1).split("/").reverse();
    const place = path.reverse().reduce((inner, name) => {
      inner[name] ??= {};
      return inner[name];
    }, body);
    if (last === "w_over") [place.w_under, place.w_over] = PRESETS[value];
    else place[last] = "list" in control.dataset ? value.split(/\s+/) : value;
  }
  return body;
}

export function cleared(form) {
  for (const note of form.querySelectorAll(".field .error")) note.remove();
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}

const holder = (pointer) => pointer.replace("/w_under", "/w_over").replace(/\/\d+$/, "") || "?";

// Says each fault at its field, and returns what has no field.
export function blame(form, error) {
  const faults = error.faults?.length ? error.faults : [{ pointer: "", detail: error.message }];
  const homeless = [];
  let first = null;
  for (const { pointer, detail } of faults) {
    const control = form.elements.namedItem(holder(pointer));
    if (!control) homeless.push(detail);
    else {
      control.setAttribute("aria-invalid", "true");
      control.parentElement.append(element("p", { class: "error", role: "alert" }, detail));
      first ??= control;
    }
  }
  first?.focus();
  return homeless.join("; ");
}
