// What people write on a run: its name, a note, tags, and that it is put away.

import { patch } from "./api.js";
import { element, field, say } from "./element.js";

export function label(id, changed) {
  const [name, tags] = ["label-name", "label-tags"].map((its) => element("input", { name: its, autocomplete: "off" }));
  const note = element("textarea", { name: "label-note", rows: 4 });
  const archived = element("input", { type: "checkbox", name: "label-archived" });
  const complaint = element("p", { class: "error", role: "alert" });
  const form = element(
    "form",
    { submit: save },
    element("h2", {}, "Name and note"),
    field("Name", name, "Empty: as it was submitted"),
    field("Note", note),
    field("Tags", tags, "With commas between"),
    element("label", { class: "check" }, archived, "Archived: lists leave it out"),
    complaint,
    element(
      "div",
      { class: "actions" },
      element("button", { type: "button", click: () => dialog.close() }, "Discard changes"),
      element("button", { class: "primary" }, "Save"),
    ),
  );
  const dialog = element("dialog", { "aria-label": "Name and note" }, form);
  const said = element("p", { class: "remarks muted" });
  const words = element("p", { class: "tags", "aria-label": "Tags" });
  let shown = null;

  function edit() {
    [name.value, note.value, tags.value] = [shown.name, shown.note, shown.tags.join(", ")];
    archived.checked = shown.archived;
    say(complaint, "");
    dialog.showModal();
  }

  async function save(event) {
    event.preventDefault();
    const list = tags.value.split(",").map((tag) => tag.trim());
    // A name that was left as it is stays the submitted one.
    const renamed = name.value === shown.name ? {} : { name: name.value };
    try {
      await patch(`runs/${encodeURIComponent(id)}`, {
        ...renamed,
        note: note.value,
        tags: [...new Set(list.filter(Boolean))],
        archived: archived.checked,
      });
      dialog.close();
      changed();
    } catch (error) {
      say(complaint, error.message);
    }
  }

  return {
    node: element("div", { class: "label" }, words, said, dialog),
    button: element("button", { type: "button", click: edit }, "Edit"),
    show(run) {
      shown = run;
      say(said, run.note);
      const all = [...run.tags, ...(run.archived ? ["archived"] : [])];
      if (words.textContent !== all.join("")) words.replaceChildren(...all.map((tag) => element("span", {}, tag)));
    },
  };
}
