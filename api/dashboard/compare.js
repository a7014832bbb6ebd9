// The page of a comparison: up to six runs or trials side by side, by one objective.

import { get, home, Problem, query } from "./api.js";
import { beside } from "./beside.js";
import { element, say, select } from "./element.js";
import { grownChart } from "./grown.js";
import { accuracy, COSTS, METRICS, percent } from "./numbers.js";
import { aimAt, inWords } from "./objective.js";
import { overlay } from "./overlay.js";
import { note, said } from "./place.js";

export const MOST_SIDES = 6;
const OVER = new Set(["finished", "stopped", "cancelled", "failed"]);
const LEAST_MS = 3000; // between two looks, however much happens: each reads all trials of all sides

export const comparison = (of) => `#/compare/${of.join(",")}`;

export function comparePage(page, again, text) {
  document.title = "Comparison · Architecture search";
  const names = [...new Set(text.split(",").filter(Boolean))];
  let [answer, rest, later] = [null, 0, null];
  const ranked = element("p", { class: "muted" });
  const complaint = element("p", { class: "error", role: "alert" });
  const sides = element("ol", { class: "compared" });
  const cost = select(
    "compared-cost",
    Object.entries(COSTS).map(([name, { title }]) => [name, title]),
    "",
  );
  const chart = overlay({
    label: "Fronts of the runs. Arrow keys walk from network to network.",
    height: 420,
    empty: "Nothing has been measured yet.",
  });
  const grown = grownChart();
  const tables = beside();
  const added = element("input", { id: "added", name: "added", placeholder: "RUN or RUN:TRIAL", autocomplete: "off" });
  const adding = element(
    "form",
    { class: "adding", submit: add },
    element("label", { for: "added" }, "Add"),
    added,
    element("button", {}, "Compare"),
  );
  const charts = element(
    "div",
    { class: "pair-of-cards" },
    element(
      "section",
      { class: "card" },
      element("h2", {}, "Fronts"),
      element(
        "div",
        { class: "dials" },
        element("div", { class: "dial" }, element("label", { for: cost.id }, "Cost"), cost),
      ),
      chart.node,
    ),
    element("section", { class: "card" }, element("h2", {}, "How they grew"), grown.node),
  );
  cost.addEventListener("change", chosen);
  page.replaceChildren(
    element("header", { class: "page-title" }, element("h1", {}, "Comparison")),
    element("section", { class: "card" }, sides, adding, ranked, complaint),
    charts,
    tables.node,
  );

  function go(of) {
    const { cost: by, target } = said();
    location.hash = comparison(of) + query({ cost: by, target });
  }

  const leave = (name, place) =>
    names.length > 1 &&
    element(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": `Leave out ${name}`,
        click: () => go(names.filter((_, index) => index !== place)),
      },
      "Leave out",
    );

  function add(event) {
    event.preventDefault();
    const more = added.value.split(/[\s,]+/).filter(Boolean);
    if (more.length) go([...new Set([...names, ...more])]);
  }

  // Another cost is ranked by around what the first network has of it.
  function chosen() {
    const first = answer?.sides.map(({ network }) => network).find(Boolean);
    const device = answer?.device;
    const its = cost.value === "latency_ms" ? first?.latencies_ms[device] : first?.[cost.value];
    note({ cost: cost.value, target: its ? aimAt(its) : 1 });
    rest = 0;
    again();
  }

  function show() {
    const { objective, device } = answer;
    const metric = objective.metric;
    cost.value = objective.cost;
    const where = objective.cost === "latency_ms" ? ` Latency is that on ${device}.` : "";
    const of = new Set(answer.sides.map(({ dataset }) => dataset)).size;
    const apart = of > 1 ? " They are of different images: accuracies and shares do not say which is the better." : "";
    say(ranked, `All are ranked by the same: ${inWords(objective)}${where}${apart}`);
    const shown = answer.sides.map((side, place) => ({
      ...side,
      name: called(side, answer.sides),
      short: String(place + 1),
      class: `side-${place + 1}`,
    }));
    sides.replaceChildren(...shown.map((side, place) => line(side, leave(side.name, place))));
    chart.show(
      shown.map((side) => ({
        ...side,
        line: side.kind === "growth" ? "straight" : "front",
        spots: spots(side, objective),
      })),
      {
        x: { title: COSTS[objective.cost].title, brief: COSTS[objective.cost].brief, costly: true },
        y: { title: METRICS[metric].title, show: (value) => `${Number((100 * value).toFixed(2))} %`, within: [0, 1] },
      },
    );
    grown.show(
      shown.filter(
        ({ progress, run }, place) => progress.length && shown.findIndex((each) => each.run === run) === place,
      ),
      metric,
    );
    tables.show(shown, answer);
    adding.hidden = names.length >= MOST_SIDES;
    charts.hidden = false;
  }

  return async function refresh(signal) {
    clearTimeout(later);
    if (performance.now() < rest) {
      later = setTimeout(again, rest - performance.now());
      return false;
    }
    rest = performance.now() + LEAST_MS;
    if (!names.length) {
      say(ranked, "Name up to six runs, or trials as RUN:TRIAL, or tick them in the list of runs.");
      charts.hidden = true;
      return null;
    }
    const { cost: by, target } = said();
    try {
      answer = await get(`comparison${query({ of: names.join(","), cost: by, target })}`, signal);
      say(complaint, "");
      show();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      charts.hidden = answer === null;
      say(complaint, error.message);
      if (!answer) sides.replaceChildren(...names.map((name, place) => element("li", {}, name, leave(name, place))));
      return null;
    }
    return answer.sides.every(({ state }) => OVER.has(state));
  };
}

// By what tells it from the others: of a run that is there twice its trial, and the images where not all have the same.
function called({ name, run, network, scored_on: images }, sides) {
  const twice = sides.filter((each) => each.run === run).length > 1;
  const unlike = sides.some((each) => each.scored_on !== images);
  return `${name || run}${twice && network ? `, trial ${network.number}` : ""}${unlike ? ` (${images} images)` : ""}`;
}

function line(side, leave) {
  const which = side.member ?? (side.network ? `trial ${side.network.number}` : "nothing measured yet");
  const facts = [which, side.dataset, `${side.scored_on} images`, side.state].join(" · ");
  const address = `#/${home(side.kind, side.run)}`;
  return element(
    "li",
    { class: `key side ${side.class}` },
    element("strong", {}, `${side.short} `),
    element("a", { href: address }, side.name),
    element("span", { class: "muted" }, ` ${facts} `),
    leave,
  );
}

function spots({ front, name, network, member, cost: _, scored_on }, { cost, metric }) {
  const all = [...front];
  if (network && !all.some(({ number }) => number === network.number)) {
    all.push({
      number: network.number,
      member,
      cost: network.cost,
      value: network.value,
      value_error: network.value_error,
    });
  }
  return all
    .sort((a, b) => a.cost - b.cost)
    .map((spot) => ({
      key: spot.number,
      at: spot.cost,
      value: spot.value,
      error: spot.value_error,
      chosen: spot.number === network?.number,
      title: `${name}: ${spot.member ?? `trial ${spot.number}`}`,
      rows: [
        [METRICS[metric].title, metric === "accuracy" ? accuracy(spot.value, spot.value_error) : percent(spot.value)],
        [COSTS[cost].title, COSTS[cost].show(spot.cost)],
        ["Scored on", `${scored_on} images`],
      ],
    }));
}
