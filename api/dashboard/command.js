// The curl command that does what a form does.

import { BASE } from "./api.js";
import { element, say } from "./element.js";
import { trusted } from "./signin.js";

export function command(path, body) {
  const code = element("code");
  const copy = element("button", { type: "button", class: "quiet", click: copied }, "Copy");
  const node = element(
    "div",
    { class: "command" },
    element("pre", { tabindex: 0, "aria-label": "curl command" }, code),
    copy,
  );

  async function copied() {
    await navigator.clipboard.writeText(code.textContent);
    copy.textContent = "Copied";
    setTimeout(() => {
      copy.textContent = "Copy";
    }, 1500);
  }

  function show(given) {
    const quoted = JSON.stringify(given, null, 2).replaceAll("'", "'\\''");
    say(code, `curl ${BASE}/v1/${path} \\\n${trusted()}  -H 'Content-Type: application/json' \\\n  -d '${quoted}'`);
  }

  show(body);
  return { node, show };
}
