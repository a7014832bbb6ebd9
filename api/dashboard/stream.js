// The service's own word that something has changed, as server-sent events: the browser opens a stream again that broke
// off, and says what it knew last. Where there is none to be had, whoever wants to know has to ask now and then.

import { query } from "./api.js";

const SILENCE_MS = 40_000; // after which a stream is dead: something comes every 15 s
const REFUSED_MS = 30_000; // before one that was refused is asked for again

// Calls changed() when something of the run has, of the list of runs where `run` is "", and lost() when that would not be
// told any more.
export function stream(run, changed, lost) {
  let [source, silence] = [null, null];
  let [heard, again] = [false, 0];

  function hear() {
    heard = true;
    clearTimeout(silence);
    silence = setTimeout(() => {
      close();
      lost();
    }, SILENCE_MS);
  }

  function failed() {
    const before = heard;
    heard = false;
    if (source.readyState === EventSource.CLOSED) {
      close();
      again = performance.now() + REFUSED_MS;
    }
    if (before) lost();
  }

  function close() {
    clearTimeout(silence);
    source?.close();
    [source, heard] = [null, false];
  }

  return {
    // Whether changes are told.
    live: () => heard,
    open() {
      if (source || performance.now() < again) return;
      source = new EventSource(`v1/events${query({ run })}`);
      source.addEventListener("changed", () => {
        hear();
        changed();
      });
      source.addEventListener("beat", hear);
      source.addEventListener("error", failed);
    },
    close,
  };
}
