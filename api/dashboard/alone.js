// The page of one trial of a search: its network as a picture and stage by stage, and its relatives on the front.

import { get, home, post, query } from "./api.js";
import { latest } from "./columns.js";
import { element, say } from "./element.js";
import { ended } from "./heading.js";
import { accuracy, COSTS, percent, short } from "./numbers.js";
import { overlay } from "./overlay.js";
import { table } from "./table.js";
import { trialCard } from "./trial.js";

const NEAR = 3; // relatives on the front to either side

export function trialPage(page, hurried, id, text) {
  const number = Number(text);
  const address = `runs/${encodeURIComponent(id)}/trials/${number}`;
  const measure = async (which) => {
    await post(`${home("search", id)}/trials/${which}/measure`);
    hurried();
  };
  const card = trialCard(null, { measure });
  const title = element("h1", {}, `Trial ${number}`);
  const links = element("p", { class: "actions" });
  const stages = stageTable();
  const relatives = relativeTable(id);
  const curve = overlay({
    label: "The learning curve. Arrow keys walk from epoch to epoch.",
    height: 260,
    empty: "No epoch has ended yet.",
  });
  const learning = element("section", { class: "card", hidden: true }, element("h2", {}, "Learning curve"), curve.node);
  const named = element("p", { class: "muted" });
  const search = element("a", { href: `#/${home("search", id)}` }, "The search, with all its trials");
  const missing = element("p", { class: "card", hidden: true }, search);
  let read = null; // whether the trial had ended when its stages were read
  const picture = element("img", { class: "drawing", alt: `The network of trial ${number}, layer by layer` });
  const drawn = { class: "scroll", tabindex: 0, role: "region", "aria-label": "The network as a picture" };
  const network = element(
    "section",
    { class: "card" },
    links,
    element("div", drawn, picture),
    element("h2", {}, "Stages"),
    stages.node,
  );
  document.title = `Trial ${number} · Architecture search`;
  const rest = element(
    "div",
    { class: "split turned" },
    element(
      "div",
      { class: "pile" },
      learning,
      element("section", { class: "card" }, element("h2", {}, "Relatives on the front"), relatives.node),
    ),
    card.node,
  );
  page.replaceChildren(element("header", { class: "page-title" }, title, named), missing, network, rest);

  return async function refresh(signal) {
    const trials = `${home("search", id)}/trials${query({ after: number - 1, limit: 1 })}`;
    const [run, { trials: rows }, pareto] = await Promise.all([
      get(home("search", id), signal),
      get(trials, signal),
      get(`${home("search", id)}/pareto`, signal),
    ]);
    const whole = rows.find((row) => row.number === number);
    say(title, whole ? `Trial ${number}` : `There is no trial ${number}`);
    missing.hidden = Boolean(whole);
    network.hidden = rest.hidden = !whole;
    say(named, `of ${run.name || run.id}`);
    if (!whole) return ended(run);
    if (!picture.src) picture.src = `v1/${address}/drawing`;
    const light = await latest(id, whole, signal);
    const best = pareto.best?.number ?? null;
    const its = [...pareto.front, pareto.best].find((row) => row?.number === number) ?? null;
    card.show(light, {
      whole,
      trouble: null,
      best: best === number,
      reward: whole.reward,
      network: its,
      run,
    });
    links.replaceChildren(
      element("a", { class: "button", href: `#/${home("search", id)}?trial=${number}` }, "In its search"),
      element(
        "a",
        { class: "button", href: `#/compare/${best === number || best === null ? id : `${id}:${number},${id}`}` },
        "Compare",
      ),
    );
    relatives.show(near(pareto.front, whole, pareto.objective), pareto.objective);
    const told = whole.measurement?.losses?.length !== 0;
    learning.hidden = whole.job.recipe === null || !told;
    if (!learning.hidden) curve.show(...curves(whole));
    const over = whole.ended_at !== null;
    if (read !== over) stages.show(await get(`${address}/stages`, signal));
    read = over;
    return over && ended(run);
  };
}

// The training loss of each epoch, a line for each fold: what is held out is scored at the end alone.
function curves({ measurement, progress, job: { recipe } }) {
  const losses = measurement?.losses ?? progress?.losses ?? [];
  const folds = Array.from({ length: Math.ceil(losses.length / recipe.epochs) }, (_, fold) => ({
    name: recipe.folds > 1 ? `Fold ${fold + 1}` : "Training loss",
    class: `side-${(fold % 6) + 1}`,
    line: "straight",
    radius: 2.5,
    spots: losses.slice(fold * recipe.epochs, (fold + 1) * recipe.epochs).map((loss, epoch) => ({
      key: epoch,
      at: epoch + 1,
      value: loss,
      title: `Epoch ${epoch + 1}${recipe.folds > 1 ? ` of fold ${fold + 1}` : ""}`,
      rows: [["Training loss", loss.toPrecision(4)]],
    })),
  }));
  return [
    folds,
    {
      x: { title: "Epoch", brief: (value) => (Number.isInteger(value) ? String(value) : "") },
      y: { title: "Training loss", show: String },
    },
  ];
}

// The stages, with what each has of parameters, multiply-adds and, where the `device` tells it, latency.
function stageTable() {
  const node = element("div", {}, element("p", { class: "muted" }, "Reading the stages…"));
  return {
    node,
    show({ stages, device }) {
      const told = device === null ? [] : [shared(`Latency on ${device}`, "latency", stages)];
      const list = table({
        label: "stages",
        key: (row) => row.place,
        stacked: true,
        empty: "",
        columns: [
          { title: "Stage", wide: true, text: (row) => row.operator },
          { title: "Enters", number: true, named: true, text: (row) => `${row.resolution} px` },
          { title: "Channels", number: true, named: true, text: (row) => String(row.channels) },
          { title: "Layers", number: true, named: true, text: (row) => String(row.layers) },
          shared("Parameters", "params", stages, short),
          shared("Multiply-adds", "mult_adds", stages, short),
          ...told,
        ],
      });
      list.show(stages.map((stage, place) => ({ ...stage, place })));
      node.replaceChildren(list.node);
    },
  };
}

// A column of what each row has of the sum of all rows, as a bar, and in words where the number itself says something.
function shared(title, name, rows, words = null) {
  const sum = rows.reduce((all, row) => all + row[name], 0) || 1;
  return {
    title,
    number: true,
    named: true,
    text: (row) => String(row[name]),
    fill: (cell, row) => {
      const [fill, part] = [element("i"), row[name] / sum];
      fill.style.width = `${100 * part}%`;
      const said = words === null ? percent(part, 0) : `${words(row[name])} · ${percent(part, 0)}`;
      cell.replaceChildren(element("span", { class: "share" }, fill), said);
    },
  };
}

function relativeTable(id) {
  let objective = null;
  const list = table({
    label: "relatives",
    key: (row) => row.number,
    empty: "No other network is on the front.",
    columns: [
      {
        title: "Trial",
        text: (row) => String(row.number),
        fill: (cell, row) =>
          cell.replaceChildren(
            element("a", { href: `#/${home("search", id)}/trials/${row.number}` }, `Trial ${row.number}`),
          ),
      },
      { title: "Accuracy", number: true, text: (row) => accuracy(row.accuracy, row.accuracy_error) },
      { title: "Cost", number: true, text: (row) => COSTS[objective.cost].show(row.cost) },
      {
        title: "Knobs apart",
        number: true,
        text: (row) => String(row.apart.length),
        fill: (cell, row) => {
          const address = `#/compare/${id}:${row.own},${id}:${row.number}`;
          const words = String(row.apart.length);
          cell.replaceChildren(
            row.comparable ? element("a", { href: address, title: row.apart.join(", ") }, words) : words,
          );
        },
      },
    ],
  });
  return {
    node: list.node,
    show(rows, by) {
      objective = by;
      list.show(rows);
    },
  };
}

// Those of the front that cost a little less, and a little more.
function near(front, { number, job, measurement }, { cost }) {
  const own = cost === "latency_ms" ? measurement?.latencies[job.devices[0]]?.median_ms : measurement?.[cost];
  const others = front.filter((row) => row.number !== number);
  const dearer = others.findIndex((row) => row.cost > (own ?? 0));
  const at = dearer < 0 ? others.length : dearer;
  return others.slice(Math.max(0, at - NEAR), at + NEAR).map((row) => ({
    ...row,
    own: number,
    comparable: (measurement?.accuracy ?? null) !== null,
    apart: Object.keys({ ...job.choices, ...row.choices }).filter((knob) => job.choices[knob] !== row.choices[knob]),
  }));
}
