// Latencies that are known too roughly to decide anything while others can, and why, in words. As in
// nas/measurements.py.

import { element } from "./element.js";

const MOST_ERROR = 0.1; // relative
const SLOWER = 1.05; // times as long as at best

export const rough = (latency) => (latency?.error_ms ?? 0) > MOST_ERROR * (latency?.median_ms ?? 0);

// Of a row of a front or a family, as if it was one that was measured.
export const latencyOf = ({ latencies_ms, latency_errors_ms }, device) => ({
  median_ms: latencies_ms?.[device] ?? 0,
  error_ms: latency_errors_ms?.[device] ?? null,
});

// Of a latency as it was measured, or of what columns say of it.
export function noise(latency) {
  if (!rough(latency)) return null;
  const { median_ms, error_ms, slowdown, shared } = latency;
  const why = [
    slowdown > SLOWER && `the machine took ${slowdown.toFixed(1)} times as long as at best`,
    shared && "other programs kept its processors busy",
  ].filter(Boolean);
  return `known to ± ${Math.round((100 * error_ms) / median_ms)} % only${why.length ? `, as ${why.join(" and ")}` : ""}`;
}

export const noiseBadge = (latency) =>
  rough(latency) && element("span", { class: "noisy", title: noise(latency) }, "noisy");
