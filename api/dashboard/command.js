// Text to be copied, and the curl command that does what a form does.

import { BASE } from "./api.js";
import { element, say } from "./element.js";
import { trusted } from "./signin.js";

const TOKEN =
  "$NAS_TOKEN is your token: on the service's machine that of the file token in NAS_HOME, elsewhere one that an admin makes by nas token create --owner NAME.";

export function copyable(label) {
  const code = element("code");
  const copy = element("button", { type: "button", class: "quiet", click: copied }, "Copy");
  const token = element("p", { class: "hint" });
  const node = element(
    "div",
    { class: "command" },
    element("pre", { tabindex: 0, "aria-label": label }, code),
    token,
    copy,
  );

  async function copied() {
    await navigator.clipboard.writeText(code.textContent);
    copy.textContent = "Copied";
    setTimeout(() => {
      copy.textContent = "Copy";
    }, 1500);
  }

  return {
    node,
    show(text) {
      say(code, text);
      say(token, text.includes("NAS_TOKEN") ? TOKEN : "");
    },
  };
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
