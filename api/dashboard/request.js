// What a form asks for. A control is named by the place of its value in the request ("/recipe/epochs"), which is how the
// service says where a value is wrong.

import { element } from "./element.js";
import { PRESETS } from "./objective.js";

// A path that is given in place of a dataset's name is that of a folder, as on the command line.
const dataset = (text) => (/^[/~]/.test(text) ? `folder:${text}` : text);

const listed = (text, between) =>
  text
    .split(new RegExp(between))
    .map((one) => one.trim())
    .filter(Boolean);

const parts = (pointer) => pointer.slice(1).split("/");

// `kept` is what another request says that has no field here.
export function request(form, kept = {}) {
  const body = structuredClone(kept);
  for (const control of form.elements) {
    const value = control.type === "number" ? control.valueAsNumber : control.value?.trim();
    if (!control.name || value === "" || Number.isNaN(value)) continue;
    const [last, ...path] = parts(control.name).reverse();
    const place = path.reverse().reduce((inner, name) => {
      inner[name] ??= {};
      return inner[name];
    }, body);
    if (last === "w_over" && value in PRESETS) [place.w_under, place.w_over] = PRESETS[value];
    else if (control.name === "/dataset") place[last] = dataset(value);
    else place[last] = "list" in control.dataset ? listed(value, control.dataset.list) : value;
  }
  if (form.elements.namedItem("/fidelity/kind")?.value === "") delete body.fidelity; // without a kind there are none
  return body;
}

// Puts what a request says into the fields, and returns what has none.
export function fill(form, given) {
  const kept = structuredClone(given);
  const aim = kept.objective ?? {};
  if (kept.fidelity) kept.fidelity.kind ??= "halving";
  if ("w_over" in aim) {
    const pair = [aim.w_under, aim.w_over];
    const own = Object.keys(PRESETS).find((name) => String(PRESETS[name]) === String(pair));
    if (own) {
      form.elements.namedItem("/objective/w_over").value = own;
      delete aim.w_under;
      delete aim.w_over;
    }
  }
  for (const control of form.elements) {
    if (!control.name) continue;
    const path = parts(control.name);
    const last = path.pop();
    const place = path.reduce((inner, name) => inner?.[name], kept);
    if (place === null || place?.[last] === undefined) continue;
    control.value = Array.isArray(place[last]) ? place[last].join(", ") : place[last];
    if (control.value !== "") delete place[last];
  }
  return kept;
}

export function cleared(form) {
  for (const note of form.querySelectorAll(".field .error")) note.remove();
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}

const holder = (pointer) =>
  pointer
    .replace("/w_under", "/w_over")
    .replace(/^\/fidelity$/, "/fidelity/kind")
    .replace(/\/\d+$/, "") || "?";

// What the form calls a value that the service names: recipe.train_images, or train_images, is “Training images”. A plain
// word is a name only where a sentence about the field begins with it.
function worded(form, pointer, detail) {
  const labels = new Map();
  for (const { name, labels: its } of form.elements) {
    if (!name || !its?.length) continue;
    const names = parts(name);
    for (const each of [names.join("."), names.at(-1)]) labels.set(each, its[0].textContent);
  }
  const own = parts(pointer).at(-1);
  const label = form.elements.namedItem(holder(pointer))?.labels[0].textContent;
  return detail.replace(/(?<![\w./:'"])[a-z]\w*(\.\w+)*/g, (word, _, at) => {
    if (label && at === 0 && word === own) return label;
    return /[._]/.test(word) && labels.has(word) ? `“${labels.get(word)}”` : word;
  });
}

// Says each fault at its field, and returns what has no field.
export function blame(form, error) {
  const faults = error.faults?.length ? error.faults : [{ pointer: "", detail: error.message }];
  const homeless = [];
  for (const { pointer, detail } of faults) {
    const control = form.elements.namedItem(holder(pointer));
    const words = worded(form, pointer, detail);
    if (!control) homeless.push(words);
    else {
      control.setAttribute("aria-invalid", "true");
      control.parentElement.append(element("p", { class: "error", role: "alert" }, words));
      const closed = control.closest("details:not([open])");
      if (closed) closed.open = true;
    }
  }
  form.querySelector("[aria-invalid]")?.focus();
  return homeless.join("; ");
}
