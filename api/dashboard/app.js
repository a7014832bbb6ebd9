// Which page belongs to which address, and the pulse that keeps it fresh.

import { absent } from "./absent.js";
import { trialPage } from "./alone.js";
import { benchmarkPage } from "./benchmark.js";
import { comparePage } from "./compare.js";
import { devicesPage } from "./devices.js";
import { element } from "./element.js";
import { growthPage } from "./growth.js";
import { modelsPage } from "./models.js";
import { path } from "./place.js";
import { proposalPage } from "./proposal.js";
import { proxyPage } from "./proxy.js";
import { pulse } from "./pulse.js";
import { runsPage } from "./runs.js";
import { searchPage } from "./search.js";
import { askToSignIn, showWho, signInPage, signOut } from "./signin.js";

const LIST = () => ""; // pages that change with the list of runs
const RUN = (id) => id; // pages of a run
const RUNS = (of) => [...new Set(of.split(",").map((side) => side.split(":", 1)[0]))].filter(Boolean).join(",") || null;
const DEVICES = () => "devices";

const PAGES = [
  [/^#\/searches\/([^/]+)$/, searchPage, RUN],
  [/^#\/searches\/([^/]+)\/trials\/(\d{1,9})$/, trialPage, RUN],
  [/^#\/growths\/([^/]+)$/, growthPage, RUN],
  [/^#\/benchmarks\/([^/]+)$/, benchmarkPage, RUN],
  [/^#\/proxies\/([^/]+)$/, proxyPage, RUN],
  [/^#\/compare(?:\/(.*))?$/, comparePage, RUNS],
  [/^#\/models$/, modelsPage, LIST],
  [/^#\/devices$/, devicesPage, DEVICES],
  [/^#\/new(?:\/([^/]+))?$/, proposalPage],
  [/^#\/sign-in(?:\/(.+))?$/, signInPage],
  [/^(#\/?)?$/, runsPage, LIST],
];

let beating = null;

// What the page's address names, if it is one of `pattern`.
function named(pattern) {
  try {
    return pattern
      .exec(path())
      ?.slice(1)
      .map((part) => decodeURIComponent(part ?? ""));
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

function nowhere(page) {
  absent(page, "There is no such page.");
}

function open() {
  beating?.stop();
  const page = element("main", { id: "page", tabindex: -1 });
  document.getElementById("page").replaceWith(page);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === (path() || "#/")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const pages = PAGES.map(([pattern, ...more]) => [named(pattern), ...more]);
  const [[id = "", ...more], make, follows] = pages.find(([names]) => names) ?? [[], nowhere];
  let refresh = null;
  // A page is made on the first beat that succeeds, so that a service which is away is waited for; and knows who looks,
  // unless it asks that.
  beating = pulse(
    async (signal) => {
      if (make !== signInPage) await showWho(signal);
      refresh ??= await make(page, () => beating.now(), id, ...more);
      if (refresh) return refresh(signal);
      beating.stop();
    },
    page,
    follows?.(id),
  );
}

document.addEventListener("signed-out", askToSignIn);
document.getElementById("who").addEventListener("click", signOut);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("page").focus();
});
window.addEventListener("hashchange", () => {
  open();
  scrollTo(0, 0);
  document.getElementById("page").focus({ preventScroll: true });
});
open();
