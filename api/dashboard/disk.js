// What lies on the service's disk, and which runs hold it.

import { get, home } from "./api.js";
import { element, say } from "./element.js";
import { bytes } from "./numbers.js";
import { table } from "./table.js";

export function diskPanel() {
  const whole = element("p", { class: "muted" });
  const size = { title: "Size", number: true, text: (row) => bytes(row.bytes), value: (row) => row.bytes };
  const things = { title: "Things", number: true, minor: true, text: (row) => row.things.toLocaleString("en") };
  const kinds = table({
    label: "disk by kind",
    key: (row) => row.kind,
    empty: "Nothing lies there.",
    columns: [{ title: "What", text: (row) => row.kind }, things, size],
  });
  const runs = table({
    label: "disk by run",
    key: (row) => row.run,
    empty: "No run holds anything.",
    columns: [{ title: "Run", text: named, fill: link, wide: true }, things, size],
  });
  const node = element(
    "details",
    { class: "card", toggle: () => node.open && refresh() },
    element("summary", {}, "Disk"),
    whole,
    kinds.node,
    runs.node,
    element("p", { class: "muted" }, "nas prune --older-than 30d --dry-run says what could go."),
  );

  async function refresh() {
    try {
      const disk = await get("disk");
      say(whole, `${bytes(disk.bytes)} in all, ${bytes(disk.free)} free`);
      kinds.show(disk.kinds);
      runs.show(disk.runs);
    } catch (error) {
      say(whole, error.message);
    }
  }

  return { node };
}

const named = (row) => row.name ?? `${row.run}, which is deleted`;

function link(cell, row) {
  const name = named(row);
  cell.replaceChildren(row.kind ? element("a", { href: `#/${home(row.kind, row.run)}` }, name) : name);
}
