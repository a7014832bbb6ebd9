// What stands where a page would be.

import { element } from "./element.js";

export function absent(page, why) {
  const elsewhere = /it is at \/v1\/(\w+\/\w+)$/.exec(why); // a run of another kind
  const words = elsewhere
    ? [why.slice(0, elsewhere.index), element("a", { href: `#/${elsewhere[1]}` }, "here it is")]
    : [why];
  const back = element("p", {}, element("a", { href: "#/" }, "All runs"));
  page.replaceChildren(
    element("section", { class: "card empty" }, element("h1", {}, "Not here"), element("p", {}, ...words), back),
  );
}
