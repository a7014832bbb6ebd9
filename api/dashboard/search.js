// The page of a search.

import { get, home, Problem, query } from "./api.js";
import { named } from "./devices.js";
import { element, say } from "./element.js";
import { events } from "./events.js";
import { growForm } from "./grow.js";
import { ended, heading } from "./heading.js";
import { ledger } from "./ledger.js";
import { live } from "./live.js";
import { brief, epochs, METRICS } from "./numbers.js";
import { inWords } from "./objective.js";
import { ranking } from "./ranking.js";
import { costOf, metricOf, scatter, worth } from "./scatter.js";
import { trialCard } from "./trial.js";
import { trialsTable } from "./trials.js";

const RUNGS = { halving: "successive halving", hyperband: "Hyperband" };

export async function searchPage(page, again, id) {
  let [trials, pareto, selected, drawn, asking, name, list] = [new Map(), null, null, "", null, id, null];
  const readTrials = ledger("search", id);
  const top = heading("search", id, again);
  const running = live("Running now", (trial) => `Trial ${trial.number}`);
  const rank = ranking(() => rerank().catch(() => again()));
  const chart = scatter(select);
  const aim = element("h2", {}, "Accuracy against cost");
  const leftOut = element("p", { class: "muted left-out" });
  const card = trialCard(() => select(null));
  const grow = await growForm(id);
  const log = events("search", id);
  const trialsCard = element("section", { class: "card" }, element("h2", {}, "Trials"));
  card.node.append(grow.node);
  page.replaceChildren(
    top.node,
    running.node,
    element(
      "div",
      { class: "split" },
      element("section", { class: "card" }, aim, rank.node, chart.node, leftOut),
      card.node,
    ),
    trialsCard,
    log.node,
  );

  function reward(trial) {
    const cost = pareto && costOf(trial, pareto.objective.cost, pareto.device);
    const value = cost && metricOf(trial, pareto.objective.metric);
    return cost && value !== null ? worth(pareto.objective, value, cost) : null;
  }

  function select(number) {
    selected = number;
    draw();
  }

  // Asks for the front by the objective that is set; a newer question makes an older one void.
  async function rerank() {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    try {
      pareto = await get(`${home("search", id)}/pareto${query(rank.wanted())}`, mine.signal);
      rank.complain("");
    } catch (error) {
      if (mine.signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      rank.complain(error.message);
    }
    if (pareto) draw();
  }

  function draw() {
    const all = [...trials.values()];
    say(aim, `${METRICS[pareto.objective.metric].title} against cost`);
    const shown = trials.get(selected ?? pareto.best?.number) ?? null;
    const rung = pareto.front[0]?.rung ?? null;
    const lower = all.filter((trial) => metricOf(trial, "accuracy") !== null && trial.job.rung !== rung);
    const networks = new Map([...pareto.front, pareto.best].filter(Boolean).map((row) => [row.number, row]));
    const compared = all.filter((trial) => trial.job.rung === rung && trial.job.repeats === null);
    chart.show({ trials: compared, networks, pareto, selected });
    card.show(
      shown,
      shown !== null && shown.number === pareto.best?.number,
      shown && reward(shown),
      networks.get(shown?.number),
    );
    grow.show(shown, name);
    list.show(all);
    list.choose(selected);
    rank.show(pareto, all, trials.get(pareto.best?.number) ?? null);
    const out = ["running", "refused", "failed", "cancelled"]
      .map((state) => [state, all.filter((trial) => trial.state === state).length])
      .filter(([, count]) => count);
    const again = all.filter((trial) => trial.job.repeats !== null).length;
    if (again) out.push(["trained again, which the means have in them", again]);
    if (pareto.unrecorded)
      out.push([`without a recorded ${METRICS[pareto.objective.metric].title}`, pareto.unrecorded]);
    if (lower.length) out.push([`trained on another rung than ${rung + 1}`, lower.length]);
    say(leftOut, out.length ? `Not plotted: ${out.map(([state, count]) => `${count} ${state}`).join(", ")}.` : "");
  }

  return async function refresh(signal) {
    const run = await get(home("search", id), signal);
    if (!list) {
      list = trialsTable(reward, select, run.spec);
      trialsCard.append(list.node);
      rank.devices(run.spec.devices);
    }
    if (!pareto) await rerank();
    name = run.name || run.id;
    top.show(run, { facts: facts(run.spec), objective: inWords(run.spec.objective) });
    await readTrials(signal, (found) => {
      trials = found;
      if (pareto) draw();
    }).then((found) => {
      trials = found;
    });
    const going = [...trials.values()].filter((trial) => trial.state === "running");
    running.show(going, run.spec.parallel, ended(run));
    const now = JSON.stringify([trials.size, run.counts, going.map((trial) => trial.number)]);
    if (now !== drawn) await rerank();
    drawn = now;
    await log.refresh(signal);
  };
}

// A parent by its name; a checkpoint by the beginning of its hash.
const ancestor = (parent) => (/^[0-9a-f]{64}$/.test(parent) ? `checkpoint ${parent.slice(0, 12)}` : parent);

function facts(spec) {
  const { dataset, space, searcher, recipe, parallel, parent, resolution, fidelity, confirm, devices, worth } = spec;
  const size = resolution ? `${resolution} pixels` : null;
  const rungs = fidelity && `${RUNGS[fidelity.kind]} over ${fidelity.rungs} rungs`;
  const again = confirm ? `leads confirmed by ${confirm} trials` : null;
  const parts = [
    dataset,
    size,
    `space ${space}`,
    parent && `begins with ${ancestor(parent)}`,
    `searcher ${searcher}`,
    named(devices),
    epochs(recipe, "a trial"),
    rungs,
    again,
    worth && `accuracy on ${worth.images.toLocaleString("en")} images, ±${brief(100 * worth.error)} points at most`,
  ];
  return [...parts, `${parallel} at once`].filter(Boolean).join(" · ");
}
