// The page of trained networks.

import { get } from "./api.js";
import { diskPanel } from "./disk.js";
import { element } from "./element.js";
import { download } from "./family.js";
import { accuracy, ago, bytes, MEDIAN, milliseconds, rounded, short } from "./numbers.js";
import { table } from "./table.js";

export function modelsPage(page) {
  document.title = "Models · Architecture search";
  const list = table({
    label: "models",
    addressed: true,
    key: (model) => model.id,
    stacked: true,
    empty: "No network has been saved yet: a growth saves its members, a search its trials if it was told to.",
    columns: [
      { title: "Model", text: (model) => `${name(model)} ${below(model)}`, value: name, fill: source, wide: true },
      scored("Validation", "accuracy", "on images held out, by which networks are chosen"),
      scored("Test", "test_accuracy", "on the test images, which nothing was chosen by"),
      {
        title: "Parameters",
        number: true,
        minor: true,
        text: (model) => short(model.params),
        value: (model) => model.params,
      },
      {
        title: "Multiply-adds",
        number: true,
        minor: true,
        text: (model) => short(model.mult_adds),
        value: (model) => model.mult_adds,
      },
      {
        title: "Latency",
        number: true,
        named: true,
        text: (model) => milliseconds(latency(model)),
        value: latency,
        fill: (cell, model) =>
          cell.replaceChildren(
            milliseconds(latency(model)),
            element("span", { class: "second" }, Object.keys(model.latencies_ms)[0] ?? ""),
          ),
        hint: `on the first device of its run: ${MEDIAN}`,
      },
      { title: "Size", number: true, named: true, text: (model) => bytes(model.bytes), value: (model) => model.bytes },
      { title: "Card", minor: true, text: (model) => model.sha256, fill: card },
      { title: "Checkpoint", text: () => "Download", fill: download },
    ],
  });
  page.replaceChildren(
    element("header", { class: "page-title" }, element("h1", {}, "Models")),
    element("section", { class: "card" }, list.node),
    diskPanel().node,
  );

  return async function refresh(signal) {
    list.show(apart(bestFirst((await get("models", signal)).models)));
  };
}

const latency = (model) => Object.values(model.latencies_ms)[0] ?? null;
const best = (model) => model.test_accuracy ?? model.accuracy;
const own = (model) =>
  model.member ? model.member + (model.seed ? ` seed ${model.seed}` : "") : `Trial ${model.number}`;
const name = (model) => `${own(model)} of ${model.name || model.run}`;
const below = (model) => `${model.twin ? `${model.run} · ` : ""}${model.dataset} · ${ago(model.created_at)}`;

// Where another is called the same, its run is told as well.
function apart(models) {
  const names = models.map(name);
  const twice = new Set(names.filter((own, place) => names.indexOf(own) !== place));
  return models.map((model, place) => ({ ...model, twin: twice.has(names[place]) }));
}

// Of the same run, whose models are scored on the same images; runs stay as they are.
function bestFirst(models) {
  const places = new Map([...new Set(models.map((model) => model.run))].map((run, place) => [run, place]));
  return [...models].sort((one, other) => places.get(one.run) - places.get(other.run) || best(other) - best(one));
}

function scored(title, field, hint) {
  const error = (model) => (best(model) === model[field] ? model.accuracy_error : null);
  const text = (model) => accuracy(model[field], error(model));
  const beneath = (model) =>
    model[field] === best(model)
      ? [rounded(model), model.seen ? "images seen before" : ""].filter(Boolean).join("; ")
      : "";
  return {
    title,
    hint,
    number: true,
    named: true,
    text: (model) => `${text(model)}${beneath(model)}`,
    value: (model) => model[field],
    fill: (cell, model) => cell.replaceChildren(text(model), ...second(beneath(model))),
  };
}

const second = (words) => (words ? [element("span", { class: "second" }, words)] : []);

function source(cell, model) {
  const place = `#/${model.member ? "growths" : "searches"}/${encodeURIComponent(model.run)}`;
  const of = element("a", { href: place, title: model.run }, model.name || model.run);
  cell.replaceChildren(`${own(model)} of `, of, element("span", { class: "second" }, below(model)));
}

function card(cell, model) {
  cell.replaceChildren(
    element("a", { href: `v1/models/${encodeURIComponent(model.id)}/card` }, "Card"),
    element("code", { class: "second", title: `SHA-256 ${model.sha256}` }, model.sha256.slice(0, 12)),
  );
}
