// A card that is read while it is open, and says why where it cannot be.

import { element, say } from "./element.js";

// `read` gets what the `parts` show, and shows it; changed() is for whoever knows that there is something else to be read.
export function folded(title, read, parts = []) {
  const complaint = element("p", { class: "error", role: "alert" });
  const node = element(
    "details",
    { class: "card", toggle: changed },
    element("summary", {}, element("h2", {}, title)),
    ...[complaint, ...parts],
  );

  async function changed() {
    if (!node.open) return;
    try {
      await read(node);
      say(complaint, "");
    } catch (error) {
      say(complaint, error.message);
    }
  }

  return { node, changed };
}
