// The page of trained networks.

import { get } from "./api.js";
import { element } from "./element.js";
import { download } from "./family.js";
import { accuracy, ago, bytes, MEDIAN, milliseconds, short } from "./numbers.js";
import { table } from "./table.js";

export function modelsPage(page) {
  document.title = "Models · Architecture search";
  const list = table({
    label: "models",
    key: (model) => model.id,
    stacked: true,
    empty: "No network has been saved yet: a growth saves its members, a search its trials if it was told to.",
    columns: [
      { title: "Model", text: (model) => name(model), value: (model) => name(model), fill: source, wide: true },
      {
        title: "Accuracy",
        number: true,
        text: (model) => accuracy(best(model), model.accuracy_error),
        value: best,
        hint: "on the test images where they were touched, otherwise on the validation images",
      },
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
        minor: true,
        text: (model) => milliseconds(latency(model)),
        value: latency,
        hint: `on the first device of its run: ${MEDIAN}`,
      },
      { title: "Size", number: true, minor: true, text: (model) => bytes(model.bytes), value: (model) => model.bytes },
      {
        title: "Created",
        number: true,
        minor: true,
        text: (model) => ago(model.created_at),
        value: (model) => model.created_at,
      },
      { title: "SHA-256", minor: true, text: (model) => model.sha256.slice(0, 12), fill: digest },
      {
        title: "Card",
        minor: true,
        text: () => "Card",
        fill: (cell, model) =>
          cell.replaceChildren(element("a", { href: `v1/models/${encodeURIComponent(model.id)}/card` }, "Card")),
      },
      { title: "Checkpoint", text: () => "Download", fill: download },
    ],
  });
  page.replaceChildren(
    element("header", { class: "page-title" }, element("h1", {}, "Models")),
    element("section", { class: "card" }, list.node),
  );

  return async function refresh(signal) {
    list.show((await get("models", signal)).models);
  };
}

const latency = (model) => Object.values(model.latencies_ms)[0] ?? null;
const best = (model) => model.test_accuracy ?? model.accuracy;
const own = (model) =>
  model.member ? model.member + (model.seed ? ` seed ${model.seed}` : "") : `Trial ${model.number}`;
const name = (model) => `${own(model)} of ${model.run}`;

function source(cell, model) {
  const place = `#/${model.member ? "growths" : "searches"}/${encodeURIComponent(model.run)}`;
  cell.replaceChildren(`${own(model)} of `, element("a", { href: place }, model.run));
}

function digest(cell, model) {
  cell.replaceChildren(element("code", { title: model.sha256 }, model.sha256.slice(0, 12)));
}
