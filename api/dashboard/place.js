// What of a page's state its address says, as in #/searches/1f2e?trial=7&cost=params: it survives a reload, and is the
// same in a colleague's browser.

import { query } from "./api.js";

export const path = () => location.hash.split("?", 1)[0];

export const said = () => Object.fromEntries(new URLSearchParams(location.hash.split("?")[1] ?? ""));

// Without another entry in the browser's history: back leaves the page.
export function note(values) {
  const next = `${path() || "#/"}${query({ ...said(), ...values })}`;
  if (next !== location.hash) history.replaceState(history.state, "", next);
}
