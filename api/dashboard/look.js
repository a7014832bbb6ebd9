// What is seen of the images that a form names, and a request that fits them; said anew a moment after another is named.

import { get } from "./api.js";
import { element, say } from "./element.js";
import { brief } from "./numbers.js";

const PAUSE = 400; // milliseconds without a change
const MOST_CLASSES = 30;
const address = (dataset) => dataset.split("/").map(encodeURIComponent).join("/");

// `advice` shows what is proposed.
export function look(advice) {
  const node = element("div", { class: "look" });
  const state = element("p", { class: "muted", role: "status" }, "Name a dataset above to see what is in it.");
  const seen = element("div");
  let [asked, named, timer] = [0, "", null];
  node.append(state, seen, advice.node);

  async function ask(dataset, number) {
    let answer = null;
    let trouble = "";
    say(state, "The images are looked at…");
    try {
      answer = await get(`looks/${address(dataset)}`);
    } catch (error) {
      trouble = error.message;
    }
    if (number !== asked) return; // another was named meanwhile
    say(state, answer ? shape(answer.look) : trouble);
    seen.replaceChildren(...(answer ? shown(dataset, answer.look) : []));
    advice.show(answer?.proposal ?? null);
  }

  return {
    node,
    show(dataset = "") {
      if (dataset === named) return;
      named = dataset;
      clearTimeout(timer);
      asked++;
      seen.replaceChildren();
      advice.show(null);
      say(state, dataset ? "" : "Name a dataset above to see what is in it.");
      if (dataset) timer = setTimeout(ask, PAUSE, dataset, asked);
    },
  };
}

function shape({ info, sides }) {
  const numbers = ["train", "validation", "test"].map((part) => [info[`${part}_images`], part]);
  const parts = numbers.filter(([count]) => count).map(([count, part]) => `${count.toLocaleString("en")} to ${part}`);
  const [least, , most] = sides ?? Array(3).fill(info.resolution);
  const size = least === most ? `${most} pixels` : `${least} to ${most} pixels`;
  return `${info.classes.length} classes, ${info.channels === 1 ? "grey" : "in colour"}, ${size}: ${parts.join(", ")}.`;
}

function shown(dataset, { info, classes, visible }) {
  const most = Math.max(...classes.map((one) => one.train_images));
  const rows = classes.slice(0, MOST_CLASSES).map((one, label) => {
    const strip = { src: `v1/strips/${label}/${address(dataset)}`, alt: `Images of ${one.name}`, loading: "lazy" };
    const meter = element("i");
    meter.style.width = `${(100 * one.train_images) / most}%`;
    return element(
      "li",
      {},
      element("span", { class: "class-name" }, one.name),
      element(
        "span",
        { class: "class-count" },
        brief(one.train_images),
        element("span", { class: "class-bar" }, meter),
      ),
      visible ? element("img", strip) : null,
    );
  });
  const more = classes.length - rows.length;
  return [
    element("ul", { class: "class-list", tabindex: 0, "aria-label": "Classes" }, ...rows),
    more > 0 ? element("p", { class: "muted" }, `and ${more.toLocaleString("en")} classes more`) : null,
    ...info.remarks.map(({ text }) => element("p", { class: "remark" }, text)),
  ].filter(Boolean);
}
