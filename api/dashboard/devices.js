// The page of devices: this machine's, and those of agents.

import { BASE, get } from "./api.js";
import { element, pill } from "./element.js";
import { ago } from "./numbers.js";
import { trusted } from "./signin.js";
import { speeds } from "./speed.js";
import { table } from "./table.js";

export function devicesPage(page) {
  document.title = "Devices · Architecture search";
  const list = table({
    label: "devices",
    key: (device) => device.name,
    empty: "",
    stacked: true,
    columns: [
      { title: "Device", text: (device) => device.name, value: (device) => device.name },
      { title: "State", text: state, value: state, fill: (cell, device) => cell.replaceChildren(pill(state(device))) },
      { title: "What it is", text: what, wide: true },
      { title: "Heard of", number: true, text: (device) => (device.heard_at ? ago(device.heard_at) : "") },
    ],
  });
  const fast = speeds();
  const token = trusted("NAS_AGENT_TOKEN");
  const program = [
    "pip install onnxruntime numpy",
    token && "export NAS_AGENT_TOKEN=…  # of: nas token create --owner pi4 --scope agent",
    `curl -f -O ${BASE}/v1/agent.pyz${token && " \\\n"}${token.replace(" \\\n", "")}`,
    `python3 agent.pyz --service ${BASE} --name pi4`,
  ];
  page.replaceChildren(
    element("header", { class: "page-title" }, element("h1", {}, "Devices")),
    element("section", { class: "card" }, list.node),
    element(
      "section",
      { class: "card" },
      element("h2", {}, "How fast they are"),
      element(
        "p",
        { class: "muted" },
        "A bar for each day on which latency was measured: how fast the yardstick ran, beside its best. Where a machine " +
          "is slower than it was, latencies err more; nas devices --check says there what may help.",
      ),
      fast.node,
    ),
    element(
      "section",
      { class: "card" },
      element("h2", {}, "Another machine"),
      element(
        "p",
        {},
        "An agent measures where it runs, a Raspberry Pi for instance, as device remote:pi4. Start it there:",
      ),
      element("div", { class: "command" }, element("pre", { tabindex: 0 }, program.filter(Boolean).join("\n"))),
    ),
  );

  return async function refresh(signal) {
    const { devices, speeds: known } = await get("devices", signal);
    list.show(devices);
    fast.show(known.filter(({ days }) => days.length));
  };
}

const agent = (device) => device.fingerprint !== null;
const state = (device) => {
  if (agent(device)) return device.available ? "online" : "offline";
  return device.available ? "here" : "absent";
};
const what = (device) => {
  if (agent(device)) return Object.values(device.fingerprint).join(" · ");
  return device.problem ?? device.description.split("\n", 1)[0];
};

// Those of a run, in words.
export const named = (devices) => `${devices.length > 1 ? "devices" : "device"} ${devices.join(", ")}`;
