// A table that stays put while its rows change: keyed rows, sorting by heading, a page at a time.

import { element, say } from "./element.js";
import { note, said } from "./place.js";

const PAGE = 25;

// A column is {title, text(row), fill?(cell, row), value?(row), told?(rows), number?, minor?}: `fill` draws what text alone
// cannot, and runs only when `text` changed; a column with `value` can be sorted; one with `told` is there while that holds;
// a `minor` one gives way on small screens, where the rows of a `stacked` table become blocks, in which a `named` one has
// a line of its own that begins with its title. A `tight` table has much to show side by side.
// The order of an `addressed` table is a part of the page's address.
export function table({
  columns,
  key,
  label,
  empty,
  stacked = false,
  tight = false,
  sort = null,
  descending = false,
  pick = null,
  addressed = false,
}) {
  const wanted = addressed ? (said().sort ?? "") : "";
  const at = columns.findIndex((column) => column.value && column.title === wanted.replace(/^-/, ""));
  if (at >= 0) [sort, descending] = [at, wanted.startsWith("-")];
  const body = element("tbody");
  const headings = columns.map((column, index) => heading(column, () => order(index)));
  const none = element("p", { class: "muted", hidden: true }, empty);
  const [earlier, place, later] = [turn("Earlier", -1), element("span", { class: "muted" }), turn("Later", 1)];
  const pager = element(
    "nav",
    { class: "pager", "aria-label": `Pages of ${label}`, hidden: true },
    earlier,
    place,
    later,
  );
  const grid = element(
    "table",
    { "aria-label": label, class: [stacked && "stacked", tight && "tight"].filter(Boolean).join(" ") },
    element("thead", {}, element("tr", {}, ...headings.map((h) => h.node))),
    body,
  );
  const node = element(
    "div",
    {},
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, grid),
    none,
    pager,
  );
  const drawn = new Map();
  let [rows, page, chosen, coming] = [[], 0, null, 0];

  if (pick) {
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row && !event.target.closest("a")) pick(row.dataset.key);
    });
  }

  function turn(title, by) {
    const click = () => {
      page += by;
      draw();
    };
    return element("button", { type: "button", class: "quiet", click }, title);
  }

  function order(index) {
    descending = sort === index ? !descending : Boolean(columns[index].number);
    sort = index;
    page = 0;
    if (addressed) note({ sort: `${descending ? "-" : ""}${columns[index].title}` });
    draw();
  }

  function sorted() {
    if (sort === null) return rows;
    const value = columns[sort].value;
    const side = descending ? -1 : 1;
    const keyed = rows.map((row) => [value(row), row]);
    keyed.sort(([a], [b]) => {
      if (a === b) return 0;
      if (a === null || a === undefined) return 1;
      if (b === null || b === undefined) return -1;
      return a < b ? -side : side;
    });
    return keyed.map(([, row]) => row);
  }

  function draw() {
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    page = Math.min(Math.max(0, page), pages - 1);
    const visible = sorted().slice(page * PAGE, (page + 1) * PAGE);
    const wanted = new Set(visible.map((row) => String(key(row))));
    for (const [name, line] of drawn) {
      if (wanted.has(name)) continue;
      line.node.remove();
      drawn.delete(name);
    }
    visible.forEach((row, index) => {
      const line = drawn.get(String(key(row))) ?? added(row);
      line.show(row);
      if (body.children[index] !== line.node) body.insertBefore(line.node, body.children[index] ?? null);
    });
    for (const [index, each] of headings.entries())
      each.show(index === sort ? (descending ? "descending" : "ascending") : "none");
    for (const [index, { told }] of columns.entries()) if (told) shown(index, told(rows));
    none.hidden = rows.length > 0;
    pager.hidden = pages === 1 && !coming;
    [earlier.disabled, later.disabled] = [page === 0, page === pages - 1];
    const count = `${page * PAGE + 1} to ${page * PAGE + visible.length} of ${rows.length.toLocaleString("en")}`;
    say(place, coming ? `${count}; ${coming.toLocaleString("en")} more are being read` : count);
  }

  function shown(index, told) {
    for (const { cells } of [grid.tHead.rows[0], ...body.rows]) cells[index].hidden = !told;
  }

  function added(row) {
    const line = lineOf(columns, String(key(row)), pick !== null);
    line.mark(chosen);
    drawn.set(String(key(row)), line);
    return line;
  }

  return {
    node,
    // Of a long history so many rows may be `left` to come.
    show(given, left = 0) {
      [rows, coming] = [given, left];
      draw();
    },
    choose(name) {
      chosen = name === null ? null : String(name);
      for (const line of drawn.values()) line.mark(chosen);
    },
  };
}

function heading(column, act) {
  const inner = column.value ? element("button", { type: "button", click: act }, column.title) : column.title;
  const node = element("th", { scope: "col", class: classes(column), title: column.hint }, inner);
  return { node, show: (direction) => column.value && node.setAttribute("aria-sort", direction) };
}

function lineOf(columns, name, picked) {
  const cells = columns.map((column) => element("td", { class: classes(column), "data-title": column.title }));
  const before = columns.map(() => null);
  const node = element("tr", { "data-key": name, class: picked && "pick" }, ...cells);
  return {
    node,
    mark: (chosen) => node.toggleAttribute("data-chosen", chosen === name),
    show(row) {
      columns.forEach((column, index) => {
        const text = column.text(row);
        if (text === before[index]) return;
        before[index] = text;
        if (column.fill) column.fill(cells[index], row);
        else say(cells[index], text);
      });
    },
  };
}

const classes = (column) => ["number", "minor", "wide", "named"].filter((word) => column[word]).join(" ");
