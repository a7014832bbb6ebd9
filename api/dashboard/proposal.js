// The form for a new search.

import { get, post } from "./api.js";
import { command } from "./command.js";
import { element, field, say, select } from "./element.js";
import { forecast } from "./forecast.js";
import { blame, cleared, request } from "./request.js";

const TARGETS = { mult_adds: 5e6, latency_ms: 1, params: 3e5 };
const number = (name, value, more = {}) => element("input", { type: "number", name, value, step: "any", ...more });

export async function proposalPage(page) {
  document.title = "New search · Architecture search";
  const [datasets, spaces, searchers, devices] = await Promise.all(
    ["datasets", "spaces", "searchers", "devices"].map((list) => get(list)),
  );
  const names = (answer, list) => answer[list].map((each) => each.name);
  const here = devices.devices.filter(({ available }) => available).map(({ name }) => name);
  const known = element(
    "datalist",
    { id: "known-datasets" },
    ...datasets.datasets.map(({ name, info }) =>
      element("option", { value: name }, info ? `${info.classes.length} classes, ${info.resolution} pixels` : ""),
    ),
  );
  const cost = select(
    "/objective/cost",
    [
      ["mult_adds", "multiply-adds"],
      ["latency_ms", "latency, ms"],
      ["params", "parameters"],
    ],
    "mult_adds",
  );
  const target = number("/objective/target", TARGETS.mult_adds);
  cost.addEventListener("change", () => {
    target.value = TARGETS[cost.value];
  });
  const complaint = element("p", { class: "error", role: "alert" });
  const start = element("button", { class: "primary" }, "Start the search");
  const form = element(
    "form",
    { class: "card proposal", novalidate: true, submit, input: preview },
    known,
    group("What", [
      field(
        "Name",
        element("input", { name: "/name", maxlength: 200, autocomplete: "off" }),
        "for you to find it again",
      ),
      field(
        "Dataset",
        element("input", {
          name: "/dataset",
          value: datasets.datasets.find(({ info }) => info)?.name ?? "",
          list: "known-datasets",
          autocomplete: "off",
        }),
        "a known name, or folder:/path/to/images",
      ),
      field("Space", select("/space", names(spaces, "spaces"), "mbconv")),
      field("Searcher", select("/searcher", names(searchers, "searchers"), "surrogate")),
    ]),
    group("How much", [
      field("Trials", number("/trials", 20), "networks to try"),
      field("Hours", number("/hours", "", { placeholder: "any" }), "of work; then no trial begins"),
      field("Compute hours", number("/compute_hours", "", { placeholder: "any" }), "of processors, or GPUs"),
      field("Least gain", number("/least_gain", "", { placeholder: "any" }), "ends when less is expected"),
      field("Parallel", number("/parallel", 2), "at once"),
      field("Confirm", number("/confirm", 0), "trials that train a lead again"),
      field(
        "Rungs",
        select(
          "/fidelity/kind",
          [
            ["", "none"],
            ["halving", "successive halving"],
            ["hyperband", "Hyperband"],
          ],
          "",
        ),
        "short trainings first; 9 epochs at least",
      ),
      field("Epochs", number("/recipe/epochs", 2), "of training a trial"),
      field("Training images", number("/recipe/train_images", "", { placeholder: "all" }), "a random, balanced part"),
    ]),
    group("Objective", [
      field(
        "Look for",
        select(
          "/objective/form",
          [
            ["product", "one network"],
            ["front", "the whole front"],
          ],
          "product",
        ),
      ),
      field("Cost", cost),
      field(
        "Also",
        select(
          "/objective/also",
          [
            ["", "none"],
            ["params", "parameters"],
            ["mult_adds", "multiply-adds"],
            ["latency_ms", "latency"],
          ],
          "",
        ),
        "a second cost of a front",
      ),
      field("Target", target, "of one image"),
      field(
        "Preset",
        select(
          "/objective/w_over",
          [
            ["soft", "soft: w = −0.07"],
            ["hard", "hard: w = −1 over the target"],
            ["accuracy", "accuracy alone"],
          ],
          "soft",
        ),
        "how the target weighs",
      ),
      field(
        "Devices",
        element("input", { name: "/devices", value: "cpu", "data-list": "", autocomplete: "off" }),
        `with spaces between, the objective's first: ${here.join(" ")}`,
      ),
    ]),
    group("Limits", [
      field("Parameters", number("/limits/params", "", { placeholder: "none" }), "larger networks are refused"),
      field("Multiply-adds", number("/limits/mult_adds", "", { placeholder: "none" }), "before they are trained"),
      field("Latency, ms", number("/limits/latency_ms", "", { placeholder: "none" }), "on the first device"),
    ]),
    complaint,
    element("div", { class: "actions" }, start),
  );
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
