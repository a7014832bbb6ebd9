// What stands where a page would be.

import { element } from "./element.js";

export function absent(page, why) {
  const back = element("p", {}, element("a", { href: "#/" }, "All runs"));
  page.replaceChildren(
    element("section", { class: "card empty" }, element("h1", {}, "Not here"), element("p", {}, why), back),
  );
}
