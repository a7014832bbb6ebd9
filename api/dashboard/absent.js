// What stands where a page would be.

import { element } from "./element.js";

// `elsewhere`: the address of what was asked for, if it is of another kind.
export function absent(page, why, elsewhere) {
  const words = elsewhere ? [`${why}: `, element("a", { href: elsewhere.replace("/v1", "#") }, "here it is")] : [why];
  const back = element("p", {}, element("a", { href: "#/" }, "All runs"));
  page.replaceChildren(
    element("section", { class: "card empty" }, element("h1", {}, "Not here"), element("p", {}, ...words), back),
  );
}
