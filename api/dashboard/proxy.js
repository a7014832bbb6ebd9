// The page of a proxy: what a cheap training is worth.

import { get, home } from "./api.js";
import { named } from "./devices.js";
import { element, say } from "./element.js";
import { events } from "./events.js";
import { ended, heading } from "./heading.js";
import { ledger } from "./ledger.js";
import { live } from "./live.js";
import { decimal, duration, percent, short } from "./numbers.js";
import { table } from "./table.js";

export function proxyPage(page, again, id) {
  let [candidates, first] = [1, 0];
  const readTrials = ledger("proxy", id);
  const top = heading("proxy", id, again);
  const running = live("Training now", ({ number }) => {
    if (number < first) return "Supernet";
    return `${number - first < candidates ? "Cheap" : "Dear"} ${(number - first) % candidates}`;
  });
  const orders = orderingTable();
  const list = candidateTable();
  const note = element("p", { class: "muted" });
  const failed = element("p", { class: "error" });
  const log = events("proxy", id);
  page.replaceChildren(
    top.node,
    running.node,
    element("section", { class: "card" }, element("h2", {}, "Who orders as the dear recipe does"), note, orders.node),
    element("section", { class: "card" }, element("h2", {}, "Candidates"), list.node, failed),
    log.node,
  );

  return async function refresh(signal) {
    const run = await get(home("proxy", id), signal);
    candidates = run.spec.candidates;
    first = run.spec.weights === "shared" ? 1 : 0; // a supernet comes before
    top.show(run, { facts: facts(run.spec), objective: recipes(run.spec) });
    const trials = [...(await readTrials(signal)).values()];
    const going = trials.filter((trial) => trial.state === "running");
    running.show(going, Math.min(run.spec.parallel, run.trials), ended(run));
    const { report } = run;
    orders.show(report.orderings ?? []);
    list.show(report.candidates);
    say(note, summary(report));
    say(failed, report.failed.length ? `${report.failed.length} left out: ${report.failed.join("; ")}` : "");
    await log.refresh(signal);
    return ended(run);
  };
}

function summary({ candidates, orderings, dear_seconds }) {
  if (!orderings) return `An order says something from four candidates on: ${candidates.length} are compared yet.`;
  return (
    `${candidates.length} candidates; the dear recipe takes ${duration(dear_seconds)} for each. 1 is the same order, ` +
    "0 no relation; in brackets 95 % of bootstrap draws of the candidates."
  );
}

function orderingTable() {
  const correlation = (title, name) => ({
    title,
    number: true,
    text: (row) => between(row[name], row[`${name}_interval`]),
    value: (row) => row[name],
  });
  return table({
    label: "orderings",
    key: (row) => row.name,
    empty: "",
    columns: [
      { title: "Ordered by", text: (row) => row.name, value: (row) => row.name },
      correlation("Kendall", "kendall"),
      correlation("Spearman", "spearman"),
      {
        title: "Cost",
        number: true,
        text: (row) => (row.seconds < 10 ? `${Number(row.seconds.toPrecision(2))} s` : duration(row.seconds)),
        value: (row) => row.seconds,
        hint: "for a candidate",
      },
    ],
  });
}

const between = (value, interval) =>
  interval ? `${decimal(value, 2)} [${decimal(interval[0], 2)}, ${decimal(interval[1], 2)}]` : "–";

function candidateTable() {
  const number = (title, value, show, minor) => ({
    title,
    number: true,
    minor,
    text: (row) => show(value(row)),
    value,
  });
  const score = (name) =>
    number(
      name,
      ({ scores }) => (name in scores ? (scores[name].value ?? -Infinity) : null),
      (value) => (value === -Infinity ? "−∞" : decimal(value, 2)),
      true,
    );
  return table({
    label: "candidates",
    key: (row) => row.number,
    empty: "No candidate has been trained by both recipes yet.",
    columns: [
      number("Candidate", (row) => row.number, String),
      number("Cheap", (row) => row.cheap, percent),
      number("Dear", (row) => row.dear, percent),
      number("Parameters", (row) => row.params, short, true),
      number("Multiply-adds", (row) => row.mult_adds, short, true),
      score("naswot"),
      score("swap"),
      score("synflow"),
      score("zen"),
    ],
  });
}

function facts({ dataset, space, devices, candidates, parallel }) {
  return [dataset, `space ${space}`, named(devices), `${candidates} candidates`, `${parallel} at once`].join(" · ");
}

function recipes({ cheap, dear, weights }) {
  if (weights === "shared") {
    return `Do the weights that a supernet shares after ${epochs(cheap)} order networks as training for ${epochs(dear)} does?`;
  }
  return `Does training for ${epochs(cheap)} order networks as training for ${epochs(dear)} does?`;
}

function epochs({ epochs, train_images }) {
  const words = `${epochs} ${epochs === 1 ? "epoch" : "epochs"}`;
  return train_images === null ? words : `${words} of ${short(train_images)} images`;
}
