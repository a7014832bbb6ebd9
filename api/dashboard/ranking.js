// The objective as sliders and fields: another target or exponent re-ranks what was measured, and trains nothing.

import { costOf } from "./columns.js";
import { element, select } from "./element.js";
import { ends } from "./frame.js";
import { COSTS, METRICS } from "./numbers.js";
import { aimAt, PRESETS } from "./objective.js";

const STEPS = 1000; // of the target's slider, even on a logarithmic scale

// What an address may say of it.
const NAMES = ["metric", "cost", "target", "w", "device"];

// `said` is what the address does, before anything is known of the search.
export function ranking(changed, said) {
  const linked = Object.fromEntries(NAMES.filter((name) => said[name]).map((name) => [name, said[name]]));
  const chosen = { metric: null, cost: null, target: null, w_under: null, w_over: null, device: null };
  let [asked, reach, best, measuring] = [null, [1, 10], null, []];
  let own = false; // whether somebody chose the exponents
  const place = (on) => measuring.indexOf(on);

  const costs = Object.entries(COSTS).map(([cost, { title }]) => {
    const input = element("input", { type: "radio", name: "cost", value: cost, change: () => chooseCost(cost) });
    return { input, node: element("label", {}, input, element("span", {}, title)) };
  });
  const metric = select(
    "metric",
    Object.entries(METRICS).map(([name, { words }]) => [name, words]),
    "accuracy",
  );
  metric.addEventListener("change", () => chooseMetric(metric.value));
  const device = element("div", { class: "dial", hidden: true });
  const unit = element("span", { class: "unit" });
  const slide = element("input", {
    type: "range",
    min: 0,
    max: STEPS,
    "aria-label": "Target, by slider",
    input: () => chooseTarget(position(slide.valueAsNumber / STEPS)),
  });
  const target = element("input", {
    type: "number",
    name: "target",
    id: "target",
    step: "any",
    input: () => {
      bind();
      draw();
    },
    change: () => chooseTarget(target.valueAsNumber),
  });
  const wSlide = element("input", {
    type: "range",
    min: -1,
    max: 0,
    step: 0.01,
    "aria-label": "Exponent w, by slider",
    input: () => chooseW(wSlide.valueAsNumber),
  });
  const w = element("input", {
    type: "number",
    name: "w",
    id: "w",
    step: "any",
    min: -10,
    max: 0,
    change: () => chooseW(w.valueAsNumber),
  });
  const over = element("input", { type: "checkbox", name: "over", change: () => chooseW(w.valueAsNumber) });
  const complaint = element("p", { class: "error", role: "alert" });
  const node = element(
    "form",
    {
      class: "ranking",
      inert: true, // until it is known what was searched for
      submit: (event) => event.preventDefault(),
      reset: (event) => {
        event.preventDefault();
        back();
      },
    },
    element("div", { class: "dial" }, element("label", { for: metric.id }, "Metric"), metric),
    element("fieldset", { class: "segments" }, element("legend", {}, "Cost"), ...costs.map((cost) => cost.node)),
    device,
    element(
      "div",
      { class: "dial" },
      element("label", { for: "target" }, "Target"),
      slide,
      element("span", { class: "entry" }, target, unit),
    ),
    element("div", { class: "dial" }, element("label", { for: "w" }, "Exponent w"), wSlide, w),
    element("label", { class: "check" }, over, "only over the target"),
    element("button", { type: "reset", class: "quiet" }, "As searched"),
    complaint,
  );

  function position(fraction) {
    return Number((reach[0] * (reach[1] / reach[0]) ** fraction).toPrecision(3));
  }

  function chooseCost(cost, on = chosen.device) {
    const same = cost === asked.cost && (cost !== "latency_ms" || on === asked.device);
    const unlike = same || !best ? null : costOf(best, cost, place(on));
    Object.assign(chosen, { cost, device: on, target: same ? asked.target : unlike && aimAt(unlike) });
    told();
  }

  function chooseMetric(value) {
    chosen.metric = value;
    told();
  }

  // A target is to choose, and with one exponent for both sides it would not.
  function bind() {
    if (!own && chosen.w_under === chosen.w_over && asked.form !== "absolute")
      [chosen.w_under, chosen.w_over] = PRESETS.hard;
  }

  function chooseTarget(value) {
    chosen.target = Number.isNaN(value) ? asked.target : value;
    bind();
    told();
  }

  function chooseW(value) {
    const exponent = Number.isNaN(value) ? asked.w_over : value;
    own = true;
    Object.assign(chosen, { w_under: over.checked ? 0 : exponent, w_over: exponent });
    told();
  }

  function back() {
    own = false;
    Object.assign(chosen, asked);
    told();
  }

  function told() {
    draw();
    changed();
  }

  function draw() {
    for (const { input } of costs) input.checked = input.value === chosen.cost;
    metric.value = chosen.metric;
    const list = device.querySelector("select");
    if (list) list.value = chosen.device;
    device.hidden = !list || chosen.cost !== "latency_ms";
    unit.textContent = chosen.cost === "latency_ms" ? "ms" : "";
    if (document.activeElement !== target) target.value = chosen.target ?? "";
    if (document.activeElement !== w) w.value = chosen.w_over;
    slide.value = chosen.target ? (STEPS * Math.log(chosen.target / reach[0])) / Math.log(reach[1] / reach[0]) : 0;
    slide.setAttribute("aria-valuetext", chosen.target ? COSTS[chosen.cost].brief(chosen.target) : "none");
    wSlide.value = chosen.w_over;
    if (chosen.w_over !== 0) over.checked = chosen.w_under === 0; // else it says nothing, and is as it was
  }

  return {
    node,
    // The target that is dragged in the plot.
    aim: chooseTarget,
    complain: (text) => {
      complaint.textContent = text;
    },
    // What to ask /pareto for: nothing while the objective is the search's own.
    wanted() {
      if (!asked) return linked;
      if (Object.keys(chosen).every((name) => chosen[name] === asked[name])) return {};
      return {
        metric: chosen.metric,
        cost: chosen.cost,
        target: chosen.target,
        w: chosen.w_under === chosen.w_over ? chosen.w_over : `${chosen.w_under},${chosen.w_over}`,
        device: chosen.cost === "latency_ms" ? chosen.device : null,
      };
    },
    // The objective, where it differs from one by its target and exponents alone and these can be ranked by.
    alike({ objective, device: on }) {
      const { metric: its, cost, target: goal, w_under, w_over, device: chosenOn } = chosen;
      const same = its === objective.metric && cost === objective.cost && (cost !== "latency_ms" || chosenOn === on);
      const valid = goal > 0 && [w_under, w_over].every((exponent) => exponent >= -10 && exponent <= 0);
      return same && valid ? { ...objective, target: goal, w_under, w_over } : null;
    },
    // What was searched for, once that is known, and what the address says instead.
    begin({ objective, devices: names }) {
      asked = { ...objective, device: names[0] };
      node.inert = false;
      const { w: exponents = "", ...plain } = linked;
      const [under, over = under] = exponents.split(",").filter(Boolean).map(Number);
      Object.assign(
        chosen,
        asked,
        plain,
        linked.target && { target: Number(linked.target) },
        under !== undefined && { w_under: under, w_over: over },
      );
      measuring = names;
      if (names.length === 1) return;
      const list = select("device", names, chosen.device);
      list.addEventListener("change", () => chooseCost("latency_ms", list.value));
      device.append(element("label", { for: list.id }, "On"), list);
    },
    // What of it an address is to say: nothing while it is the search's own.
    address() {
      const wanted = this.wanted();
      return Object.fromEntries(NAMES.map((name) => [name, wanted[name] ?? null]));
    },
    show(trials, bestTrial) {
      best = bestTrial;
      const known = trials
        .map((trial) => costOf(trial, chosen.cost, place(chosen.device)))
        .filter((cost) => cost !== null);
      const [low, high] = known.length ? ends(known) : [chosen.target, chosen.target];
      reach = [low / 2, high * 2];
      draw();
    },
  };
}
