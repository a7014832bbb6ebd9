// The heartbeat: asks again when the service says that something has changed, or now and then where it does not say, as
// long as somebody looks; says when the service is away, and recovers by itself.

import { absent } from "./absent.js";
import { NotSignedIn, Problem, Unreachable } from "./api.js";
import { element, say } from "./element.js";
import { clock } from "./numbers.js";
import { stream } from "./stream.js";

const LEAST_MS = 400; // between two beats, however much happens
const EVERY_MS = 1500; // between beats where nothing is told
const RARELY_MS = 15_000; // between beats where changes are told, for what time alone changes; or nothing more may happen

// Calls refresh(signal) now and then on until it is stopped; it answers whether nothing more is to be expected, or null
// where there is nothing to follow. `follows` is
// the run whose changes count, "" for those of the list of runs, null for whatever is not told. `now` does not wait.
export function pulse(refresh, page, follows = null) {
  const ending = new AbortController();
  const told = follows === null ? null : stream(follows, soon, beat);
  let timer = null;
  let [busy, hurried, begun] = [false, false, 0];

  async function beat() {
    clearTimeout(timer);
    hurried = busy;
    if (busy || document.hidden || ending.signal.aborted) return;
    [busy, begun] = [true, performance.now()];
    let wait = EVERY_MS;
    try {
      const settled = await refresh(ending.signal);
      connected();
      if (ending.signal.aborted) return;
      if (settled !== null) told?.open();
      if (settled !== null && told?.live()) wait = settled ? null : RARELY_MS;
      else if (settled || settled === null) wait = RARELY_MS;
    } catch (error) {
      if (ending.signal.aborted) return;
      if (error instanceof NotSignedIn) return ending.abort(); // the page that asks for a token takes this one's place
      if (error instanceof Problem && error.status === 404) return gone(error);
      report(error, page);
    }
    busy = false;
    if (hurried) soon();
    else if (wait !== null) after(wait);
  }

  function after(wait) {
    clearTimeout(timer);
    if (!ending.signal.aborted) timer = setTimeout(beat, wait);
  }

  function soon() {
    hurried = busy;
    if (!busy) after(Math.max(0, begun + LEAST_MS - performance.now()));
  }

  function looked() {
    if (document.hidden) told?.close();
    beat();
  }

  function gone(error) {
    ending.abort();
    connected();
    absent(page, error.message, error.elsewhere);
  }

  document.addEventListener("visibilitychange", looked, { signal: ending.signal });
  ending.signal.addEventListener("abort", () => {
    clearTimeout(timer);
    told?.close();
  });
  beat();
  return { stop: () => ending.abort(), now: beat };
}

function report(error, page) {
  if (error instanceof Problem || error instanceof Unreachable) {
    // There is a page once a first answer has come.
    if (!page.hasChildNodes())
      page.append(element("p", { class: "card muted" }, "Here is a page as soon as the service answers."));
    const banner = document.getElementById("banner");
    const since = clock(Date.now() / 1000);
    if (banner.hidden) say(banner, `Since ${since}, ${error.message}. What you see is from before; trying again.`);
    banner.hidden = false;
  } else {
    reportError(error);
  }
}

function connected() {
  document.getElementById("banner").hidden = true;
}
