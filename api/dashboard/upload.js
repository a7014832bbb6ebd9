// Sends an archive of images to the service, a piece at a time, and says how far it is.

import { append, get, Problem, post } from "./api.js";
import { bar, element, field, say } from "./element.js";

const PIECE = 4 * 2 ** 20; // bytes
const SUFFIXES = /(\.(tar|gz|tgz|bz2|tbz2|xz|txz|zip))+$/i;

// A field to choose an archive in; `ready` is called with the dataset that it has become.
export function upload(ready) {
  const input = element("input", { type: "file", id: "upload", accept: ".tar,.gz,.tgz,.bz2,.xz,.zip", change });
  const progress = bar("Bytes of the archive that have come");
  const state = element("p", { class: "hint", role: "status" });
  const complaint = element("p", { class: "error", role: "alert" });
  const node = field("Upload images", input, "An archive of a folder with one of images for each class");
  node.append(progress.node, state, complaint);
  progress.node.hidden = true;
  return node;

  async function change() {
    const [file] = input.files;
    if (!file) return;
    input.disabled = true;
    progress.node.hidden = false;
    say(complaint, "");
    try {
      ready(`images:${await sent(file)}`);
      say(state, "All has come.");
    } catch (error) {
      say(state, "");
      say(complaint, error.message);
    }
    progress.node.hidden = true;
    input.disabled = false;
    input.value = ""; // so that the same file can be chosen again, and goes on where it was
  }

  async function sent(file) {
    let about = await begun(file);
    while (!about.ready) {
      progress.show(about.received / file.size);
      const last = about.received + PIECE >= file.size;
      say(state, last ? "The archive is looked through …" : `${Math.floor((100 * about.received) / file.size)} %`);
      const piece = file.slice(about.received, about.received + PIECE);
      about = await append(`images/${about.name}`, piece, about.received);
    }
    return about.name;
  }
}

// A new upload, or the one of the same file that broke off.
async function begun(file) {
  // As in nas/filenames.py.
  const apart = file.name.replace(SUFFIXES, "").replaceAll("ß", "ss").normalize("NFKD").replace(/\p{M}/gu, "");
  const words = apart.replace(/[^A-Za-z0-9._]+/g, "-");
  const name = words.replace(/^[._-]+/, "").slice(0, 100) || "images";
  const same = `${file.size} ${file.lastModified}`;
  try {
    const about = await post("images", { name, bytes: file.size });
    localStorage.setItem(`upload ${name}`, same);
    return about;
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 409 || localStorage.getItem(`upload ${name}`) !== same)
      throw error;
    return get(`images/${name}`);
  }
}
