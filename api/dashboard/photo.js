// A field to drop a photo into, and its classes by a model.

import { query, send } from "./api.js";
import { bar, element, say } from "./element.js";
import { percent } from "./numbers.js";

const SIDE = 120; // pixels of its preview

// `address` is where pictures of the model go, `by()` the file that is asked.
export function photoField(address, by) {
  const input = element("input", { type: "file", accept: "image/*", id: "photo", change: () => show(input.files[0]) });
  const zone = element(
    "label",
    { class: "drop", for: input.id, dragover: over, dragleave: left, drop: dropped },
    element("span", {}, "Drop a photo here, or choose one"),
    input,
  );
  const preview = element("canvas", { width: SIDE, height: SIDE, hidden: true, "aria-hidden": "true" });
  const status = element("p", { class: "muted", role: "status" });
  const list = element("ol", { class: "answers" });
  let asked = 0;

  function over(event) {
    event.preventDefault();
    zone.classList.add("over");
  }

  function left() {
    zone.classList.remove("over");
  }

  function dropped(event) {
    event.preventDefault();
    left();
    show(event.dataTransfer.files[0]);
  }

  async function show(file) {
    if (!file) return;
    const mine = ++asked;
    list.replaceChildren();
    say(status, `Looking at ${file.name}…`);
    draw(file);
    try {
      const { classes, file: asking } = await send(`${address}${query({ by: by() })}`, file);
      if (mine !== asked) return;
      say(status, `${file.name}, by ${asking}:`);
      list.replaceChildren(...classes.map(line));
    } catch (error) {
      if (mine === asked) say(status, error.message);
    }
  }

  async function draw(file) {
    const picture = await createImageBitmap(file).catch(() => null); // of a kind that this browser does not know
    preview.hidden = picture === null;
    if (!picture) return;
    const [side, pen] = [Math.min(picture.width, picture.height), preview.getContext("2d")];
    const [x, y] = [(picture.width - side) / 2, (picture.height - side) / 2];
    pen.clearRect(0, 0, SIDE, SIDE);
    pen.drawImage(picture, x, y, side, side, 0, 0, SIDE, SIDE); // what the network sees of it
  }

  return element(
    "div",
    { class: "photo" },
    zone,
    element("div", { class: "seen" }, preview, element("div", {}, status, list)),
  );
}

function line({ name, probability }) {
  const share = bar(`Probability of ${name}`);
  share.show(probability);
  return element("li", {}, element("span", {}, name), share.node, element("span", {}, percent(probability, 1)));
}
