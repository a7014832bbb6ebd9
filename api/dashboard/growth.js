// The page of a growth.

import { get, home, query } from "./api.js";
import { named } from "./devices.js";
import { element } from "./element.js";
import { events } from "./events.js";
import { familyTable, scored } from "./family.js";
import { familyChart } from "./familychart.js";
import { ended, heading } from "./heading.js";
import { live } from "./live.js";

export function growthPage(page, again, id) {
  const top = heading("growth", id, again);
  const running = live("Training now", ({ job: { member, seed } }) => (several ? `${member} seed ${seed}` : member));
  const chart = familyChart();
  const log = events("growth", id);
  const source = element("p", { class: "muted", hidden: true });
  const family = element("section", { class: "card" }, element("h2", {}, "Family"), source);
  let [drawn, list, several] = ["", null, false];
  page.replaceChildren(
    top.node,
    running.node,
    family,
    element("section", { class: "card" }, element("h2", {}, "Accuracy over cost"), chart.node),
    log.node,
  );

  // A member may have several at a time, one for each of its seeds.
  const going = async (signal) =>
    (await get(`${home("growth", id)}/trials${query({ state: "running" })}`, signal)).trials;

  return async function refresh(signal) {
    const run = await get(home("growth", id), signal);
    top.show(run, {
      facts: facts(run.spec),
      objective: scaling(run.spec),
      units: measures(run.spec) ? "trials" : null,
    });
    several = run.spec.seeds > 1;
    running.show(
      run.counts.running ? await going(signal) : [],
      Math.max(Math.min(run.spec.parallel, run.trials), run.counts.running),
      ended(run),
    );
    if (!list) {
      list = familyTable(run.spec);
      family.append(list.node);
    }
    list.show(run.family);
    if (run.spec.source && source.hidden) {
      const [search, number] = run.spec.source;
      source.replaceChildren(
        "Grown from ",
        element("a", { href: `#/searches/${encodeURIComponent(search)}` }, `trial ${number} of search ${search}`),
        ".",
      );
      source.hidden = false;
    }
    const now = JSON.stringify(run.family.map((row) => [row.member, scored(row), row.accuracy_error, row.tied_with]));
    if (now !== drawn) chart.show(run);
    drawn = now;
    await log.refresh(signal);
    return ended(run);
  };
}

// Whether networks are measured before any is trained, which are trials as well.
const measures = ({ fit, members }) =>
  fit?.cost === "latency_ms" || members.some((name) => name.includes("latency_ms"));

function facts({ dataset, space, devices, recipe, parallel, seeds }) {
  return [
    dataset,
    `space ${space}`,
    named(devices),
    `${recipe.epochs} ${recipe.epochs === 1 ? "epoch" : "epochs"} a member`,
    ...(seeds > 1 ? [`${seeds} seeds`] : []),
    `${parallel} at once`,
  ].join(" · ");
}

const COSTS = {
  formula: "α·β²·γ² of about 2",
  mult_adds: "about twice the multiply-adds",
  latency_ms: "about twice the latency",
};

function scaling({ scaling, fit, fitted_by }) {
  if (fit) return `Which factors on depth, width and resolution, at ${COSTS[fit.cost]}, do the most for this network?`;
  if (scaling === null) return "Depth, width and resolution grow together by the published B0 to B7 coefficients.";
  const how = fitted_by ? `, as growth ${fitted_by} fitted them,` : "";
  return `Depth, width and resolution grow together: α ${scaling.alpha}, β ${scaling.beta}, γ ${scaling.gamma}${how} to the power of the number in a member's name.`;
}
