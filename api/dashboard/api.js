// The service's addresses, as seen from where the page is. Every answer is JSON; every refusal is a problem document
// (RFC 9457).

export const BASE = new URL(".", location.href).href.replace(/\/$/, "");

export class Unreachable extends Error {}

export class NotSignedIn extends Error {}

export class Problem extends Error {
  constructor(document) {
    super(document.detail || document.title);
    this.status = document.status;
    this.faults = document.errors || [];
    this.elsewhere = document.elsewhere;
  }
}

async function ask(method, path, { body, bytes, headers, signal } = {}) {
  const options = {
    method,
    signal,
    headers: headers ?? (body ? { "Content-Type": "application/json" } : {}),
    body: bytes ?? (body && JSON.stringify(body)),
  };
  let response;
  try {
    response = await fetch(`v1/${path}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("the service does not answer");
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (response.status >= 502 && response.status <= 504) throw new Unreachable(answer?.detail || response.statusText);
  if (answer === null) throw new Unreachable("the service answers in something that is not JSON");
  if (response.status === 401 && path !== "session") document.dispatchEvent(new Event("signed-out"));
  if (response.status === 401) throw new NotSignedIn(answer.detail);
  if (!response.ok) throw new Problem(answer);
  return answer;
}

export const get = (path, signal) => ask("GET", path, { signal });
export const post = (path, body) => ask("POST", path, { body });
export const remove = (path) => ask("DELETE", path);
export const patch = (path, body) => ask("PATCH", path, { body });
// Bytes of a file, as they are.
export const send = (path, bytes) =>
  ask("POST", path, { bytes, headers: { "Content-Type": "application/octet-stream" } });
// Bytes of a file, of which `offset` have come before.
export const append = (path, bytes, offset) =>
  ask("PATCH", path, { bytes, headers: { "Content-Type": "application/octet-stream", "Upload-Offset": offset } });

const PLURALS = { search: "searches", growth: "growths", benchmark: "benchmarks", proxy: "proxies" };

// "searches/1f2e": where a run of that kind lives.
export const home = (kind, id) => `${PLURALS[kind]}/${encodeURIComponent(id)}`;

// A query string from the values that are there.
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
