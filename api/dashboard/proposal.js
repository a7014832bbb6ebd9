// The form for a new search.

import { get, home, post } from "./api.js";
import { command } from "./command.js";
import { draft } from "./draft.js";
import { element, field, say, select } from "./element.js";
import { fields } from "./fields.js";
import { forecast } from "./forecast.js";
import { look } from "./look.js";
import { METRICS } from "./numbers.js";
import { blame, cleared, fill, request } from "./request.js";
import { suggestion } from "./suggestion.js";
import { upload } from "./upload.js";

const COSTS = {
  mult_adds: "multiply-adds",
  latency_ms: "latency, ms",
  params: "parameters",
  peak_memory: "peak memory, bytes",
  model_bytes: "weights, bytes",
};
// Between two of them are commas or spaces; a comma before an option belongs to its device, as in cpu:threads=2,batch=8.
const DEVICES = ",?\\s+|,(?!\\w+=)";

// `like` is the search that is to be searched for again, if one is.
export async function proposalPage(page, _, like) {
  document.title = "New search · Architecture search";
  const [said, before, datasets, parents, spaces, searchers, devices, boards] = await Promise.all([
    fields("SearchSpec"),
    like ? get(`${home("search", like)}/request`) : {},
    ...["datasets", "parents", "spaces", "searchers", "devices", "boards"].map((list) => get(list)),
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
  const devicesField = () =>
    field(
      "Devices",
      element("input", {
        name: "/devices",
        value: said("/devices").initial.join(", "),
        "data-list": DEVICES,
        autocomplete: "off",
      }),
      `${said("/devices").hint}. Several with commas between: here there are ${here.join(", ")}`,
    );
  const complaint = element("p", { class: "error", role: "alert" });
  const carried = element("p", { class: "muted carried" });
  const advice = suggestion(place, preview, !like);
  const seen = look(advice);
  const start = element("button", { class: "primary" }, "Start the search");
  const typed = draft(like);
  const form = element(
    "form",
    { class: "card proposal", novalidate: true, submit, input: edited },
    known,
    ancestors,
    group("Images", [
      line("Name", "/name"),
      line("Dataset", "/dataset", {
        value: datasets.datasets.find(({ info }) => info)?.name ?? "",
        list: "known-datasets",
        placeholder: "/path/to/images",
      }),
      upload(uploaded),
      line("Parent", "/parent", { placeholder: "none", list: "known-parents" }),
      seen.node,
    ]),
    group("Budget", [
      number("Trials", "/trials"),
      number("Hours", "/hours", "any"),
      choice("Cost", "/objective/cost", costs),
      number("Target", "/objective/target", "none", ""),
      devicesField(),
    ]),
    element(
      "details",
      { class: "more" },
      element("summary", {}, "More"),
      group("What", [
        choice("Space", "/space", names(spaces, "spaces")),
        choice("Searcher", "/searcher", names(searchers, "searchers")),
        number("Resolution", "/resolution", "as the images have"),
        line("Learn from", "/learn_from", {
          placeholder: like ? `none, or such as ${like}` : "none",
          "data-list": ",",
          value: "",
        }),
        line("Baselines", "/baselines", { placeholder: "none", "data-list": ",", value: "" }),
      ]),
      group("How much", [
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
        choice("Weights", "/weights", [
          ["own", "each its own"],
          ["shared", "shared by all"],
        ]),
        number("Finals", "/finals"),
        number("Epochs", "/recipe/epochs", "as many as it takes", ""),
        number("Folds", "/recipe/folds", "by the number of images", ""),
        line("Group", "/recipe/group", { placeholder: "each image its own" }),
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
        choice("Precision", "/objective/precision", [
          ["float32", "single"],
          ["int8", "8 bits"],
        ]),
        choice("Also", "/objective/also", [["", "none"], ...costs]),
        field(
          "Preset",
          select(
            "/objective/w_over",
            [
              ["", "within the target"],
              ["hard", "hard: w = −1 above it"],
              ["soft", "soft: w = −0.07"],
              ["accuracy", "accuracy alone"],
            ],
            "",
          ),
          "How the target weighs; soft, and without one, it does not choose",
        ),
      ]),
      group("Limits", [
        number("Parameters", "/limits/params", "none"),
        number("Multiply-adds", "/limits/mult_adds", "none"),
        number("Latency, ms", "/limits/latency_ms", "none"),
        number("Peak memory, bytes", "/limits/peak_memory", "none"),
        number("Weights, bytes", "/limits/model_bytes", "none"),
        choice("Board", "/limits/board", [["", "none"], ...names(boards, "boards")]),
      ]),
    ),
    carried,
    complaint,
    element("div", { class: "actions" }, start, typed.node),
  );
  const kept = fill(form, before);
  const beside = {}; // the places of what has no field, by its name
  for (const name of typed.restore(form)) advice.touch(name);
  const others = Object.entries(kept).flatMap(([name, value]) => (JSON.stringify(value) === "{}" ? [] : [name]));
  if (others.length) say(carried, `As search ${like} has them, too: ${others.join(", ")}.`);
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
    const target = form.elements.namedItem("/dataset");
    target.value = dataset;
    edited({ target });
  }

  // Where a value of the request stands: in its field, or beside the form where it has none.
  function place(pointer) {
    const name = pointer.slice(1);
    beside[name] ??= {
      get value() {
        return kept[name];
      },
      set value(value) {
        kept[name] = value;
      },
    };
    return form.elements.namedItem(pointer) ?? beside[name];
  }

  function edited({ target }) {
    typed.note(target);
    advice.touch(target.name);
    preview();
  }

  function preview() {
    const body = request(form, kept);
    curl.show(body);
    expected.show(body);
    seen.show(body.dataset); // which may take a proposal out of the fields, and begins anew then
  }

  async function submit(event) {
    event.preventDefault();
    cleared(form);
    say(complaint, "");
    start.disabled = true;
    try {
      const search = await post("searches", request(form, kept));
      typed.forget();
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
