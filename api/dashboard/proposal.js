// The form for a new search.

import { get, post } from "./api.js";
import { command } from "./command.js";
import { element, field, say, select } from "./element.js";
import { fields } from "./fields.js";
import { forecast } from "./forecast.js";
import { METRICS } from "./numbers.js";
import { PRESETS } from "./objective.js";
import { blame, cleared, request } from "./request.js";
import { upload } from "./upload.js";

const SUGGESTED = { latency_ms: 1, params: 3e5 }; // targets of the costs for which the service has no default
const COSTS = { mult_adds: "multiply-adds", latency_ms: "latency, ms", params: "parameters" };

export async function proposalPage(page) {
  document.title = "New search · Architecture search";
  const [said, datasets, parents, spaces, searchers, devices] = await Promise.all([
    fields("SearchSpec"),
    ...["datasets", "parents", "spaces", "searchers", "devices"].map((list) => get(list)),
  ]);
  const names = (answer, list) => answer[list].map((each) => each.name);
  const here = devices.devices.filter(({ available }) => available).map(({ name }) => name);
  const known = element(
    "datalist",
    { id: "known-datasets" },
    ...datasets.datasets.map(({ name, info }) =>
      element("option", { value: name }, info ? `${info.classes.length} classes, ${info.resolution} pixels` : ""),
    ),
  );
  const ancestors = element(
    "datalist",
    { id: "known-parents" },
    ...parents.parents.map(({ name, missing, dataset }) =>
      element("option", { value: name }, missing ?? `trained on ${dataset}`),
    ),
  );
  // Fields with the service's own words and values; `more` is what the form adds to either.
  const line = (label, name, more = {}) =>
    field(label, element("input", { name, value: said(name).initial, autocomplete: "off", ...more }), said(name).hint);
  const number = (label, name, empty, value = said(name).initial) =>
    line(label, name, { type: "number", step: "any", value, ...(empty && { placeholder: empty }) });
  const choice = (label, name, options, hint = said(name).hint) =>
    field(label, select(name, options, said(name).initial ?? ""), hint);
  const costs = said("/objective/cost").choices.map((cost) => [cost, COSTS[cost]]);
  const metrics = said("/objective/metric").choices.map((metric) => [metric, METRICS[metric].words]);
  const preset = Object.keys(PRESETS).find((name) => PRESETS[name][1] === said("/objective/w_over").initial);
  const complaint = element("p", { class: "error", role: "alert" });
  const start = element("button", { class: "primary" }, "Start the search");
  const form = element(
    "form",
    { class: "card proposal", novalidate: true, submit, input: preview },
    known,
    ancestors,
    group("What", [
      line("Name", "/name"),
      line("Dataset", "/dataset", {
        value: datasets.datasets.find(({ info }) => info)?.name ?? "",
        list: "known-datasets",
      }),
      upload(uploaded),
      line("Parent", "/parent", { placeholder: "none", list: "known-parents" }),
      choice("Space", "/space", names(spaces, "spaces")),
      choice("Searcher", "/searcher", names(searchers, "searchers")),
    ]),
    group("How much", [
      number("Trials", "/trials"),
      number("Hours", "/hours", "any"),
      number("Compute hours", "/compute_hours", "any"),
      number("Least gain", "/least_gain", "any"),
      number("Parallel", "/parallel"),
      number("Confirm", "/confirm"),
      choice(
        "Rungs",
        "/fidelity/kind",
        [
          ["", "none"],
          ["halving", "successive halving"],
          ["hyperband", "Hyperband"],
        ],
        `${said("/fidelity").hint}; 9 epochs at least`,
      ),
      number("Epochs", "/recipe/epochs", "as many as it takes", ""),
      number("Folds", "/recipe/folds", "by the number of images", ""),
      number("Training images", "/recipe/train_images", "all"),
      choice("Class weights", "/recipe/class_weights", [
        ["none", "none"],
        ["auto", "all classes alike"],
      ]),
    ]),
    group("Objective", [
      choice("Look for", "/objective/form", [
        ["product", "one network"],
        ["front", "the whole front"],
      ]),
      choice("Metric", "/objective/metric", metrics),
      choice("Cost", "/objective/cost", costs),
      choice("Also", "/objective/also", [["", "none"], ...costs]),
      number("Target", "/objective/target"),
      field(
        "Preset",
        select(
          "/objective/w_over",
          [
            ["soft", "soft: w = −0.07"],
            ["hard", "hard: w = −1 over the target"],
            ["accuracy", "accuracy alone"],
          ],
          preset,
        ),
        "How the target weighs",
      ),
      field(
        "Devices",
        element("input", {
          name: "/devices",
          value: said("/devices").initial.join(" "),
          "data-list": "",
          autocomplete: "off",
        }),
        `${said("/devices").hint}; with spaces between: ${here.join(" ")}`,
      ),
    ]),
    group("Limits", [
      number("Parameters", "/limits/params", "none"),
      number("Multiply-adds", "/limits/mult_adds", "none"),
      number("Latency, ms", "/limits/latency_ms", "none"),
    ]),
    complaint,
    element("div", { class: "actions" }, start),
  );
  const cost = form.elements.namedItem("/objective/cost");
  cost.addEventListener("change", () => {
    const own =
      cost.value === said("/objective/cost").initial ? said("/objective/target").initial : SUGGESTED[cost.value];
    form.elements.namedItem("/objective/target").value = own;
  });
  const curl = command("searches", {});
  const expected = forecast();
  page.replaceChildren(
    element("header", { class: "page-title" }, element("h1", {}, "New search")),
    element(
      "div",
      { class: "split" },
      form,
      element(
        "aside",
        { class: "card" },
        element("h2", {}, "Forecast"),
        expected.node,
        element("h2", {}, "The same from a terminal"),
        curl.node,
      ),
    ),
  );
  preview();

  function uploaded(dataset) {
    known.append(element("option", { value: dataset }));
    form.elements.namedItem("/dataset").value = dataset;
    preview();
  }

  function preview() {
    const body = request(form);
    curl.show(body);
    expected.show(body);
  }

  async function submit(event) {
    event.preventDefault();
    cleared(form);
    say(complaint, "");
    start.disabled = true;
    try {
      const search = await post("searches", request(form));
      location.hash = `#/searches/${encodeURIComponent(search.id)}`;
    } catch (error) {
      say(complaint, blame(form, error));
    }
    start.disabled = false;
  }
}

function group(title, fields) {
  return element("fieldset", { class: "fields" }, element("legend", {}, title), ...fields);
}
