// The heartbeat: asks again and again while somebody looks, says when the service is away, and recovers by itself.

import { absent } from "./absent.js";
import { NotSignedIn, Problem, Unreachable } from "./api.js";
import { say } from "./element.js";

const EVERY_MS = 1500;

// Calls refresh(signal) now and then on until it is stopped; `now` does not wait for the next beat.
export function pulse(refresh, page) {
  const ending = new AbortController();
  let timer = null;
  let [busy, hurried] = [false, false];

  async function beat() {
    clearTimeout(timer);
    hurried = busy;
    if (busy || document.hidden) return;
    busy = true;
    try {
      await refresh(ending.signal);
      connected();
    } catch (error) {
      if (ending.signal.aborted) return;
      if (error instanceof NotSignedIn) return ending.abort(); // the page that asks for a token takes this one's place
      if (error instanceof Problem && error.status === 404) return gone(error);
      report(error);
    }
    busy = false;
    if (!ending.signal.aborted) timer = setTimeout(beat, hurried ? 0 : EVERY_MS);
  }

  function gone(error) {
    ending.abort();
    connected();
    absent(page, error.message);
  }

  document.addEventListener("visibilitychange", beat, { signal: ending.signal });
  ending.signal.addEventListener("abort", () => clearTimeout(timer));
  beat();
  return { stop: () => ending.abort(), now: beat };
}

function report(error) {
  if (error instanceof Problem || error instanceof Unreachable) {
    const banner = document.getElementById("banner");
    const since = new Date().toLocaleTimeString();
    if (banner.hidden) say(banner, `Since ${since}, ${error.message}. What you see is from before; trying again.`);
    banner.hidden = false;
  } else {
    reportError(error);
  }
}

function connected() {
  document.getElementById("banner").hidden = true;
}
