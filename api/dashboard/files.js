// What a model is handed out as: its files, made when they are first asked for, and three lines that use it.

import { BASE, get, post, remove } from "./api.js";
import { copyable } from "./command.js";
import { confirmation } from "./confirmation.js";
import { element, say } from "./element.js";
import { bytes, milliseconds, percent, rounded } from "./numbers.js";
import { photoField } from "./photo.js";
import { trusted } from "./signin.js";

const PAUSE = 1000; // milliseconds between questions while they are made

// A few lines each; whatever but the last asks for files that are made already.
const CLASSIFY = "pip install numpy onnxruntime pillow";
const WAYS = {
  Archive: {
    words: "All files with a card, hashes, and what each scored; it stands alone.",
    code: (address, curl, name) =>
      `${curl}-o model.zip "${address}/archive?as=zip"\nunzip model.zip && cd ${name ?? "*/"} && ${CLASSIFY}\npython classify.py photo.jpg`,
  },
  ONNX: {
    words: "With numpy, onnxruntime and pillow; in other languages as well, by ONNX Runtime.",
    code: (address, curl) =>
      `${curl}-o model.onnx ${address}/files/model.onnx -o classify.py ${address}/files/classify.py\n${CLASSIFY}\npython classify.py photo.jpg`,
  },
  int8: {
    words: "A quarter of the size and often faster; its accuracy is its own, see below.",
    code: (address, curl) =>
      `${curl}-o model.int8.onnx ${address}/files/model.int8.onnx -o classify.py ${address}/files/classify.py\n${CLASSIFY}\npython classify.py photo.jpg --model model.int8.onnx`,
  },
  Python: {
    alone: true,
    words: "With nas itself and torch; it takes a list of Pillow's images too, or uint8 arrays.",
    code: (address, curl) =>
      `# pip install 'nas-service[workers]'${curl.includes("NAS_TOKEN") ? "; export NAS_TOKEN" : ""}\nimport nas\nfrom PIL import Image\nnetwork = nas.load("${address}")\nprint(network(Image.open("photo.jpg")).names)`,
  },
};

export function useIt(id) {
  const address = `models/${encodeURIComponent(id)}/files`;
  const status = element("p", { class: "muted", role: "status" });
  const list = element("ul", { class: "handed-out" });
  const make = element("button", { type: "button", click: made }, "Make the files");
  const lines = copyable("lines to copy");
  const needs = element("p", { class: "muted" });
  const chosen = element(
    "fieldset",
    { class: "segments" },
    element("legend", {}, "Use it as"),
    ...Object.keys(WAYS).map(way),
  );
  const photo = element(
    "div",
    { hidden: true },
    element("h3", {}, "Try it"),
    photoField(`models/${encodeURIComponent(id)}/classes`, by),
  );
  // Until the model is known: what comes then would undo what was wished before.
  const waits = { type: "button", disabled: true };
  const pin = element("button", { ...waits, click: pinned }, "Pin it");
  const erase = element("button", { ...waits, class: "danger", click: erased }, "Delete its weights");
  const judged = element("p", { class: "muted" });
  const complaint = element("p", { class: "error", role: "alert" });
  const sure = confirmation(
    `Delete the weights of model ${id}?`,
    "They go with all of its files, for good; what was measured of it stays. What another run needs, or is pinned, is refused.",
    "Delete the weights",
  );
  const close = element("button", { type: "button", class: "quiet", click: () => dialog.close() }, "Close");
  const dialog = element(
    "dialog",
    { class: "card use", "aria-label": `Use model ${id}`, close: () => dialog.remove() },
    element("h2", {}, `Use model ${id}`),
    element(
      "div",
      { class: "body" },
      chosen,
      lines.node,
      needs,
      photo,
      element("h3", {}, "Files"),
      status,
      judged,
      list,
      make,
      element("h3", {}, "Its weights"),
      element("p", { class: "muted" }, "Pinned ones stay when those of other models are removed to make room."),
      element("div", { class: "actions" }, pin, erase),
      complaint,
    ),
    close,
    sure.node,
  );

  function way(name, place) {
    const input = element("input", { type: "radio", name: "way", value: name, checked: place === 0, change: told });
    return element("label", {}, input, element("span", {}, name));
  }

  function told() {
    const { words, code, alone } = WAYS[chosen.querySelector(":checked").value];
    say(needs, built || alone ? words : `${words} Its files are made first, below.`);
    lines.show(
      code(
        `${BASE}/v1/models/${id}`,
        `curl -f ${trusted()
          .replace(/ *\\\n/, " ")
          .trimStart()}`,
        called,
      ),
    );
  }

  // The network that a photo is shown to.
  function by() {
    return chosen.querySelector(":checked").value === "int8" ? "model.int8.onnx" : "model.onnx";
  }

  let [built, called] = [false, null]; // whether its files are made, and what it is then

  async function act(request) {
    say(complaint, "");
    try {
      return await request;
    } catch (error) {
      say(complaint, error.message);
      return undefined;
    }
  }

  async function pinned() {
    const address = `models/${encodeURIComponent(id)}/pin`;
    offer(await act(pin.dataset.pinned ? remove(address) : post(address)));
  }

  async function erased() {
    if (!(await sure.ask())) return;
    if ((await act(remove(`models/${encodeURIComponent(id)}`))) === null) dialog.close();
  }

  function offer(model) {
    if (!model) return;
    say(judged, model.rounding ? `Its accuracy of ${accuracy(model)} is ${rounded(model)}, as its checkpoint is.` : "");
    pin.disabled = false;
    pin.dataset.pinned = model.pinned ? "yes" : "";
    say(pin, model.pinned ? "Unpin it" : "Pin it");
    erase.disabled = model.pinned;
  }

  async function made() {
    make.disabled = true;
    await shown(post(address));
    make.disabled = false;
  }

  async function shown(answer) {
    try {
      let files = await answer;
      while (files.state === "building" && dialog.isConnected) {
        say(status, "They are being made and scored …");
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
        files = await get(address);
      }
      show(files);
    } catch (error) {
      say(status, error.message);
    }
  }

  function show({ state, reason, name, files, refused, links }) {
    [built, called] = [state === "built", name];
    told();
    const words = { absent: "They are not made yet.", failed: `They could not be made: ${reason}` };
    const unchecked = files.find(({ score }) => score?.unchecked)?.score.unchecked;
    const done = unchecked ? `compared with what it was exported from: ${unchecked}.` : "scored in its own runtime.";
    say(status, words[state] ?? `Each network was loaded from the archive alone and ${done}`);
    say(make, state === "built" ? "Try again what is missing" : "Make the files");
    make.hidden = state === "built" && refused.length === 0 && !unchecked;
    photo.hidden = !files.some(({ name }) => name === "model.onnx");
    const archives = state === "built" ? ["zip", "tar"].map((name) => [links[name], `all of it as ${name}`, ""]) : [];
    const single = files.map(({ link, name, score, latency, bytes: size }) => {
      const scored = score ? `, ${found(score)}` : "";
      const timed = latency ? `, ${milliseconds(latency.median_ms)}` : "";
      return [link, name, ` ${bytes(size)}${scored}${timed}`];
    });
    list.replaceChildren(
      ...[...archives, ...single].map(([link, name, note]) =>
        element("li", {}, element("a", { href: link.slice(1), download: "" }, name), note),
      ),
      ...refused.map((each) => element("li", {}, `not as ${each.exporter}: ${each.reason}`)),
    );
  }

  const accuracy = (model) => percent(model.test_accuracy ?? model.accuracy, 2);
  const found = ({ accuracy, images }) =>
    accuracy === null ? "accuracy not checked" : `${percent(accuracy, 2)} of ${images} images`;

  told();
  document.body.append(dialog);
  addEventListener("hashchange", () => dialog.close(), { once: true });
  dialog.showModal();
  shown(get(address));
  act(get(`models/${encodeURIComponent(id)}`)).then(offer);
}
