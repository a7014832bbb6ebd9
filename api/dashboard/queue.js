// Why runs wait, in words.

import { get } from "./api.js";
import { duration } from "./numbers.js";

const SOON_SECONDS = 10;

// By the id of each run that waits; nothing is asked where none does.
export async function reasons(runs, signal) {
  if (!runs.some((run) => run.state === "queued")) return new Map();
  const { waiting } = await get("queue", signal);
  return new Map(waiting.map((each, place) => [each.run, why(each, place)]));
}

function why({ behind_name: name, seconds }, place) {
  if (name === null) return place ? `${place} before it` : "next";
  if (seconds === null) return `behind ${name}`;
  return `behind ${name}, ${seconds < SOON_SECONDS ? "any moment" : `about ${duration(seconds)}`}`;
}
