// A chart to take away: as SVG and PNG as it looks now, and its points as CSV.

import { element } from "./element.js";

const STYLES = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-opacity",
  "stroke-dasharray",
  "font-size",
  "font-weight",
  "paint-order",
];
const LARGER = 2; // pixels of a PNG to one of the page

// `table` gives the rows of the CSV, the first of them headings.
export function saving(root, name, table) {
  const link = (kind, make) =>
    element(
      "button",
      { type: "button", class: "quiet", click: async () => save(`${name()}.${kind}`, await make()) },
      kind.toUpperCase(),
    );
  return element(
    "p",
    { class: "saving muted" },
    "Save as",
    link("svg", () => new Blob([picture(root)], { type: "image/svg+xml" })),
    link("png", () => painted(root)),
    link("csv", () => new Blob([`${table().map(line).join("\r\n")}\r\n`], { type: "text/csv" })),
  );
}

// With the page's styles written into it, as it has no style sheet where it goes.
function picture(root) {
  const { width, height } = root.getBoundingClientRect();
  const copy = root.cloneNode(true);
  const [all, copies] = [root.querySelectorAll("*"), copy.querySelectorAll("*")];
  for (const [index, node] of all.entries()) {
    const its = getComputedStyle(node);
    for (const style of STYLES) copies[index].setAttribute(style, its.getPropertyValue(style));
  }
  const card = getComputedStyle(root.closest(".card")).backgroundColor;
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [attribute, value] of Object.entries({ width: "100%", height: "100%", fill: card }))
    ground.setAttribute(attribute, value);
  copy.prepend(ground);
  for (const [attribute, value] of Object.entries({
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    "font-family": "sans-serif",
  }))
    copy.setAttribute(attribute, value);
  return new XMLSerializer().serializeToString(copy);
}

async function painted(root) {
  const { width, height } = root.getBoundingClientRect();
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(picture(root))}`;
  await image.decode();
  const canvas = element("canvas", { width: LARGER * width, height: LARGER * height });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve));
}

function save(name, blob) {
  const href = URL.createObjectURL(blob);
  element("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href));
}

// RFC 4180; what a spreadsheet would take for a formula is text.
function line(cells) {
  return cells
    .map((cell) => {
      const text = typeof cell === "string" && /^[=+\-@]/.test(cell) ? `'${cell}` : String(cell ?? "");
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    })
    .join(",");
}
