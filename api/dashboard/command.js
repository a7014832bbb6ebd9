// Text to be copied, and the curl command that does what a form does.

import { BASE } from "./api.js";
import { element, say } from "./element.js";
import { trusted } from "./signin.js";

export function copyable(label) {
  const code = element("code");
  const copy = element("button", { type: "button", class: "quiet", click: copied }, "Copy");
  const node = element("div", { class: "command" }, element("pre", { tabindex: 0, "aria-label": label }, code), copy);

  async function copied() {
    await navigator.clipboard.writeText(code.textContent);
    copy.textContent = "Copied";
    setTimeout(() => {
      copy.textContent = "Copy";
    }, 1500);
  }

  return { node, show: (text) => say(code, text) };
}

export function command(path, body) {
  const { node, show: print } = copyable("curl command");

  function show(given) {
    const quoted = JSON.stringify(given, null, 2).replaceAll("'", "'\\''");
    print(`curl ${BASE}/v1/${path} \\\n${trusted()}  -H 'Content-Type: application/json' \\\n  -d '${quoted}'`);
  }

  show(body);
  return { node, show };
}
