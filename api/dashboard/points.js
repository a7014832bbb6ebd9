// Points of a chart that can be pointed at, walked with the arrow keys and picked; each has {key, x, y, radius, title, rows}.

import { dots } from "./dots.js";
import { element, svg } from "./element.js";

const REACH = 28; // pixels from a point at which it is meant
const PLAIN = new Set(["point", "point rough"]); // classes of those that may be painted
const MOST_CIRCLES = 2000; // of more points the plain ones are painted

export function points(chart, pick) {
  const circles = new Map();
  const paint = dots(chart);
  const tip = element("div", { class: "tip", role: "status", hidden: true });
  const ring = svg("circle", { class: "ring", visibility: "hidden" });
  chart.over.append(ring);
  chart.node.append(tip);
  let [shown, current, chosen, extra] = [[], null, null, null]; // extra: the chosen one, where it has a circle for that alone

  chart.root.addEventListener("pointermove", (event) => point(nearest(event)));
  chart.root.addEventListener("pointerleave", () => point(null));
  chart.root.addEventListener("blur", () => point(null));
  chart.root.addEventListener("click", (event) => {
    const found = nearest(event);
    if (found && pick) pick(found.key);
  });
  chart.root.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (by) shown.sort((a, b) => a.x - b.x);
    const index = shown.findIndex((each) => each.key === current);
    if (by && shown.length) point(shown[(index + by + shown.length + (index < 0 && by < 0)) % shown.length]);
    else if (event.key === "Enter" && index >= 0 && pick) pick(current);
    else if (event.key === "Escape") point(null);
    else return;
    event.preventDefault();
  });

  function nearest(event) {
    const box = chart.root.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let [found, least] = [null, REACH ** 2];
    for (const each of shown) {
      const distance = (each.x - x) ** 2 + (each.y - y) ** 2;
      if (distance < least) [found, least] = [each, distance];
    }
    return found;
  }

  function point(found) {
    if (found?.key === current) return;
    current = found?.key ?? null;
    tip.hidden = !found;
    ring.setAttribute("visibility", found ? "visible" : "hidden");
    if (!found) return;
    place(ring, { ...found, radius: found.radius + 4 });
    const rows = found.rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
    tip.replaceChildren(element("strong", {}, found.title), element("dl", {}, ...rows));
    const left = found.x + 16 + tip.offsetWidth > chart.area.right + 18 ? found.x - 16 - tip.offsetWidth : found.x + 16;
    tip.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, found.y - tip.offsetHeight / 2)}px)`;
  }

  // The circle of one, on top.
  function put(each) {
    const circle = circles.get(each.key) ?? svg("circle", { "data-key": each.key });
    circle.setAttribute("class", each.class);
    place(circle, each);
    if (!circles.has(each.key) || each.class !== "point") chart.marks.append(circle);
    circles.set(each.key, circle);
    return circle;
  }

  // The one with that key is marked, and no other.
  function choose(key) {
    circles.get(chosen)?.classList.remove("selected");
    if (extra !== null) {
      circles.get(extra)?.remove();
      circles.delete(extra);
    }
    [chosen, extra] = [key, null];
    const each = shown.find((its) => its.key === key);
    if (!each) return;
    if (!circles.has(key)) extra = key;
    put(each).classList.add("selected");
  }

  function show(given) {
    shown = [...given];
    const many = given.length > MOST_CIRCLES;
    paint(many ? given : []);
    const drawn = many ? given.filter((each) => !PLAIN.has(each.class)) : given;
    const wanted = new Set(drawn.map((each) => each.key));
    for (const [key, circle] of circles) {
      if (wanted.has(key)) continue;
      circle.remove();
      circles.delete(key);
    }
    for (const each of drawn) put(each);
    extra = null;
    choose(chosen);
    const again = shown.find((each) => each.key === current) ?? null;
    current = null;
    tip.hidden = true;
    ring.setAttribute("visibility", "hidden");
    point(again);
  }

  return { show, choose };
}

function place(circle, { x, y, radius }) {
  circle.setAttribute("cx", x.toFixed(1));
  circle.setAttribute("cy", y.toFixed(1));
  circle.setAttribute("r", radius.toFixed(1));
}
