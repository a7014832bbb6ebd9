// The page of a search.

import { get, home, Problem, post, query } from "./api.js";
import { columns, costOf, metricOf } from "./columns.js";
import { named } from "./devices.js";
import { element, say } from "./element.js";
import { events } from "./events.js";
import { growForm } from "./grow.js";
import { grownCard } from "./grown.js";
import { ended, heading } from "./heading.js";
import { knobsCard } from "./knobs.js";
import { live } from "./live.js";
import { brief, epochs, METRICS } from "./numbers.js";
import { inWords } from "./objective.js";
import { note, said } from "./place.js";
import { predictedCard } from "./predicted.js";
import { ranking } from "./ranking.js";
import { reranked, worth } from "./reward.js";
import { scatter } from "./scatter.js";
import { trialCard } from "./trial.js";
import { trialsTable } from "./trials.js";
import { whole } from "./whole.js";

const RUNGS = { halving: "successive halving", hyperband: "Hyperband" };
const SETTLED_MS = 150; // after the last move of a slider the service is asked
const RETRY_MS = 1500; // before what could not be read is asked for again

export function searchPage(page, hurried, id) {
  let [pareto, selected, drawn, asking, soon, run, list, grow] = [null, linked(), "", null, null, null, null, null];
  let [answer, compared, settled, here, later] = [null, [], null, false, null]; // `pareto` may be ahead of its answer
  const { trials, refresh: readTrials } = columns(id);
  const wholes = whole("search", id, () => {
    if (wholes.trouble()) setTimeout(hurried, RETRY_MS);
    showChoice();
  });
  const top = heading("search", id, hurried);
  const running = live("Running now", (trial) => `Trial ${trial.number}`);
  const rank = ranking(() => dialled(), said());
  const chart = scatter(select, rank.aim);
  const aim = element("h2", {}, "Accuracy against cost");
  const leftOut = element("p", { class: "muted left-out" });
  const card = trialCard(() => select(null), {
    address: (number) => `#/${home("search", id)}/trials/${number}`,
    measure: async (number) => {
      await post(`${home("search", id)}/trials/${number}/measure`);
      hurried();
    },
  });
  const grew = grownCard(id, () => rank.wanted());
  const mattered = knobsCard(id, () => rank.wanted(), select);
  const predicted = predictedCard(id);
  const log = events("search", id);
  const reading = element("p", { class: "muted" }, "Reading the trials…");
  const trialsCard = element("section", { class: "card" }, element("h2", {}, "Trials"), reading);
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
    mattered.node,
    grew.node,
    predicted.node,
    log.node,
  );

  const rung = () => pareto.front[0]?.rung ?? null;
  const place = () => run.spec.devices.indexOf(pareto.device);

  function reward(trial) {
    const cost = pareto && costOf(trial, pareto.objective.cost, place());
    const value = cost && metricOf(trial, pareto.objective.metric);
    return cost && value !== null ? worth(pareto.objective, value, cost) : null;
  }

  function select(number) {
    selected = number;
    note({ trial: number });
    wholes.again();
    showChoice();
  }

  // Asks for the front by the objective that is set; a newer question makes an older one void.
  async function rerank() {
    clearTimeout(soon);
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    try {
      answer = await get(`${home("search", id)}/pareto${query(rank.wanted())}`, mine.signal);
      pareto = answer;
      rank.complain("");
      if (run) note(rank.address());
      for (const open of [mattered, grew, predicted]) open.changed();
    } catch (error) {
      if (mine.signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      rank.complain(error.message);
      unranked();
    }
    show();
  }

  // With an objective that the service refuses from the first there is nothing to be waited for.
  function unranked() {
    if (pareto) return;
    chart.without("Nothing can be ranked by this objective.");
    card.without("There is no best trial by this objective.");
    say(reading, "They are shown once they can be ranked: “As searched” takes the objective of the search.");
  }

  // Another target or exponent shows its star at once, and what the service makes of it as soon as it stays.
  function dialled() {
    const objective = pareto && rank.alike(pareto);
    if (objective) {
      asking?.abort();
      clearTimeout(soon);
      pareto = reranked(pareto, objective, compared, place());
      showChoice();
      cancelAnimationFrame(later);
      later = requestAnimationFrame(() => setTimeout(showTrials)); // once the star is on the screen
    }
    soon = setTimeout(() => rerank().catch(hurried), objective ? SETTLED_MS : 0);
  }

  // Nothing is shown before some trials are here: there is no telling none from not yet.
  function show() {
    if (!pareto || !list || !here) return;
    if (!list.node.isConnected) reading.replaceWith(list.node);
    say(aim, `${METRICS[pareto.objective.metric].title} against cost`);
    compared = [...trials.values()].filter((trial) => trial.rung === rung() && trial.repeats === null);
    showChoice();
    showTrials();
  }

  function showTrials() {
    const all = [...trials.values()];
    list.show(all, Object.values(run.counts).reduce((sum, count) => sum + count) - all.length);
    rank.show(all, trials.get(pareto.best?.number) ?? null);
    const out = ["running", "refused", "failed", "cancelled"].map((state) => [
      state,
      all.filter((trial) => trial.state === state).length,
    ]);
    const measured = all.filter((trial) => trial.role === "measured").length;
    const again = all.filter((trial) => trial.repeats !== null).length - measured;
    out.push(["trained again, which the means have in them", again]);
    out.push(["that only measured a latency again, which counts where it is known better", measured]);
    out.push([`without a recorded ${METRICS[pareto.objective.metric].title}`, pareto.unrecorded]);
    const lower = all.filter((trial) => trial.accuracy !== null && trial.rung !== rung()).length;
    out.push([`trained on another rung than ${rung() + 1}`, lower]);
    const words = out.filter(([, count]) => count).map(([state, count]) => `${count.toLocaleString("en")} ${state}`);
    say(leftOut, words.length ? `Not plotted: ${words.join(", ")}.` : "");
  }

  function showChoice() {
    if (!pareto || !list || !here) return;
    const networks = new Map([...pareto.front, pareto.best].filter(Boolean).map((row) => [row.number, row]));
    const shown = trials.get(selected ?? pareto.best?.number) ?? null;
    chart.show({ trials: compared, networks, pareto, answer, place: place(), selected });
    card.show(shown, {
      whole: shown && wholes.of(shown),
      trouble: wholes.trouble(),
      best: shown !== null && shown.number === pareto.best?.number,
      reward: shown && reward(shown),
      network: networks.get(shown?.number),
      run,
    });
    grow?.show(shown, run.name || run.id);
    list.choose(selected);
  }

  function arrived() {
    here = true;
    show();
  }

  async function look(signal) {
    run = await get(home("search", id), signal);
    if (!list) {
      list = trialsTable(reward, select, run.spec);
      rank.begin(run.spec);
    }
    top.show(run, { facts: facts(run.spec), objective: inWords(run.spec.objective) });
  }

  const state = () => JSON.stringify([run.state, run.ended_at, run.trials, run.counts, run.again]);

  return async function refresh(signal) {
    if (settled !== null) {
      await look(signal);
      if (state() === settled) {
        wholes.again();
        showChoice();
        await log.refresh(signal);
        return true;
      }
    }
    const first = pareto === null;
    const [going] = await Promise.all([readTrials(signal, arrived), look(signal), first && rerank()]);
    wholes.again();
    wholes.keep(going);
    running.show(going, run.spec.parallel, ended(run));
    const now = JSON.stringify([trials.size, run.counts, run.again, going.map((trial) => trial.number)]);
    // What came first was asked for together: of a run that goes on the front may be older than the trials.
    if (first) arrived();
    else if (now !== drawn) await rerank();
    drawn = first && !ended(run) ? "" : now;
    if (!grow) {
      grow = await growForm(id);
      card.node.append(grow.node);
      if (pareto) showChoice();
    }
    await log.refresh(signal);
    const read = trials.size === Object.values(run.counts).reduce((sum, count) => sum + count);
    settled = ended(run) && read ? state() : null;
    return settled !== null;
  };
}

// The trial that the address names.
function linked() {
  const { trial } = said();
  return /^\d{1,9}$/.test(trial ?? "") ? Number(trial) : null;
}

// A parent by its name; a checkpoint by the beginning of its hash.
const ancestor = (parent) => (/^[0-9a-f]{64}$/.test(parent) ? `checkpoint ${parent.slice(0, 12)}` : parent);

function facts(spec) {
  const { dataset, space, searcher, recipe, parallel, parent, resolution, fidelity, confirm, devices, worth } = spec;
  const size = resolution ? `${resolution} pixels` : null;
  const rungs = fidelity && `${RUNGS[fidelity.kind]} over ${fidelity.rungs} rungs`;
  const again = confirm ? `leads confirmed by ${confirm} trials` : null;
  const finals = spec.finals ? `, the best ${spec.finals} trained on` : "";
  const parts = [
    dataset,
    size,
    `space ${space}`,
    parent && `begins with ${ancestor(parent)}`,
    `searcher ${searcher}`,
    spec.learn_from.length && `learns from ${spec.learn_from.join(", ")}`,
    named(devices),
    epochs(recipe, "a trial"),
    rungs,
    spec.weights === "shared" && `weights of one supernet for all${finals}`,
    again,
    worth &&
      `accuracy on ${worth.folds > 1 ? "" : "about "}${worth.images.toLocaleString("en")} images, ` +
        `±${brief(100 * worth.error)} points at most`,
  ];
  return [...parts, `${parallel} at once`].filter(Boolean).join(" · ");
}
