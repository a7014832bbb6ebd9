// Which knobs of a search mattered: the importance of each, what networks with each choice came to, and all of them as
// parallel coordinates, of which choices and ranges leave some.

import { get, home, query } from "./api.js";
import { element, say } from "./element.js";
import { folded } from "./folded.js";
import { COSTS, METRICS, percent } from "./numbers.js";
import { parallel } from "./parallel.js";

const MOST_AXES = 7; // knobs in the plot, as many as a wide screen has room for
const LEAST_ROOM = 110; // pixels that an axis wants
const SPREAD = 0.6; // of the room that a choice has on its axis
const MOST_KNOBS = 6; // that are listed before all are asked for

// The card is read while it is open, by the ranking that `wanted` says; select(number) shows a trial.
export function knobsCard(id, wanted, select) {
  let [answer, all] = [null, false];
  const brush = {};
  const words = element("p", { class: "muted" });
  const left = element("p", { class: "left-out", role: "status" });
  const list = element("div", { class: "knobs" });
  const more = element("button", { type: "button", click: () => show(!all) });
  const plot = parallel(brush, brushed, select);
  function brushed(name, what) {
    if (Array.isArray(what) || what === null) brush[name] = what;
    else {
      brush[name] ??= new Set();
      if (!brush[name].delete(what)) brush[name].add(what);
      if (!brush[name].size) brush[name] = null;
    }
    draw();
  }

  function keeps(network) {
    const [low, high] = brush.cost ?? [-Infinity, Infinity];
    const [worst, best] = brush.value ?? [-Infinity, Infinity];
    if (network.cost < low || network.cost > high || network.value < worst || network.value > best) return false;
    return answer.knobs.every(
      ({ name }, index) => !brush[`knob ${name}`]?.has || brush[`knob ${name}`].has(network.choices[index]),
    );
  }

  function show(every) {
    all = every;
    draw();
  }

  function draw() {
    const { knobs, networks, measured, objective } = answer;
    const [cost, metric] = [COSTS[objective.cost], METRICS[objective.metric]];
    const ranked = knobs.some(({ importance }) => importance !== null);
    say(words, told(knobs, networks.length, measured, ranked));
    const shown = all ? knobs : knobs.slice(0, MOST_KNOBS);
    list.replaceChildren(...shown.map((knob) => listed(knob, cost)));
    more.parentNode.hidden = knobs.length <= MOST_KNOBS;
    say(more, all ? "The most important alone" : `All ${knobs.length} knobs`);
    plot.node.hidden = left.hidden = !networks.length;
    if (!networks.length) return;
    const kept = networks.filter(keeps);
    const best = kept.reduce((one, other) => (one && one.reward >= other.reward ? one : other), null);
    const room = Math.max(2, Math.min(MOST_AXES, Math.floor((plot.node.clientWidth || 900) / LEAST_ROOM) - 2));
    // Networks with the same choice lie a little apart, the better ones higher.
    const rising = [...networks].sort((one, other) => one.value - other.value);
    const apart = new Map(rising.map(({ number }, place) => [number, SPREAD * (place / rising.length - 0.5)]));
    const axes = [
      ...knobs.slice(0, room).map(({ name, choices }, index) => ({
        name: `knob ${name}`,
        title: name,
        choices: choices.length,
        of: (network) => network.choices[index] + apart.get(network.number),
        show: (place) => String(choices[place].choice),
      })),
      { name: "cost", title: cost.title, of: (network) => network.cost, show: cost.brief, costly: true },
      { name: "value", title: metric.title, of: (network) => network.value, show: (value) => percent(value, 0) },
    ];
    plot.show(axes, networks, new Set(kept.map(({ number }) => number)), best?.number);
    const count = kept.length === networks.length ? `${kept.length}` : `${kept.length} of ${networks.length}`;
    left.replaceChildren(
      `${count} networks${best ? "; the best: " : "."}`,
      ...(best ? [trialLink(best.number), ` with ${percent(best.value)} at ${cost.show(best.cost)}`] : []),
    );
  }

  function trialLink(number) {
    return element("button", { type: "button", class: "link", click: () => select(number) }, `trial ${number}`);
  }

  function listed({ name, importance, choices }, cost) {
    const most = Math.max(...choices.map(({ value }) => value));
    const fill = element("i");
    fill.style.width = `${100 * (importance ?? 0)}%`;
    return element(
      "section",
      { class: "knob" },
      element(
        "h3",
        {},
        element("span", {}, name),
        importance === null ? null : element("span", { class: "share" }, fill),
        importance === null ? null : `${Math.round(100 * importance)} %`,
      ),
      element(
        "ul",
        {},
        ...choices.map((its, place) =>
          element(
            "li",
            {},
            element(
              "button",
              {
                type: "button",
                class: `choice${its.value === most ? " most" : ""}`,
                "aria-pressed": String(!!brush[`knob ${name}`]?.has(place)),
                title: `only networks with ${name} ${its.choice}`,
                click: () => brushed(`knob ${name}`, place),
              },
              element("strong", {}, String(its.choice)),
              ` ${percent(its.value, 1)} · ${cost.show(its.cost)} · ${its.networks}`,
            ),
          ),
        ),
      ),
    );
  }

  async function read() {
    answer = await get(`${home("search", id)}/knobs${query(wanted())}`);
    draw();
  }

  return folded("What mattered", read, [words, list, element("p", {}, more), plot.node, left]);
}

function told(knobs, looked, measured, ranked) {
  if (!knobs.length) return "No two choices of a knob have been compared yet.";
  const of = looked < measured ? `${looked} of ${measured.toLocaleString("en")}` : `${looked}`;
  const share = ranked
    ? "How much each knob had to do with being among the best quarter (PED-ANOVA)"
    : "From 20 networks on the knobs are ordered by importance";
  return `${share}; of each choice the mean of what ${of} networks came to, their mean cost, and how many have it. A choice that is pressed leaves only these.`;
}
