// Numbers as people read them; a dash where there is none.

const NONE = "–";
const missing = (value) => value === null || value === undefined || Number.isNaN(value);

export function percent(fraction, digits = 2) {
  return missing(fraction) ? NONE : `${(100 * fraction).toFixed(digits)} %`;
}

// With its standard error, where that is known.
export function accuracy(fraction, error) {
  if (missing(fraction) || missing(error)) return percent(fraction);
  return `${(100 * fraction).toFixed(2)} ± ${(100 * error).toFixed(2)} %`;
}

// That an accuracy is one in 8 bits, and what the checkpoint's own is.
export function rounded({ rounding }) {
  return rounding ? `in 8 bits; float32 ${percent(rounding.float32)}` : "";
}

// 5288548 is "5.29 M": three digits, which is what measurements of this kind are good for.
export function short(value) {
  if (missing(value)) return NONE;
  for (const [factor, unit] of [
    [1e12, " T"],
    [1e9, " G"],
    [1e6, " M"],
    [1e3, " k"],
  ]) {
    if (Math.abs(value) >= 0.9995 * factor) return digits(value / factor) + unit;
  }
  return digits(value);
}

function digits(value) {
  const text = value.toPrecision(3);
  return text.includes("e") ? String(Number(text)) : text;
}

// For ticks and sentences: "5 M", not "5.00 M".
export function brief(value) {
  return short(value).replace(/\.(\d*?)0+(?= |$)/, (_, kept) => (kept ? `.${kept}` : ""));
}

export function milliseconds(value) {
  return missing(value) ? NONE : `${digits(value)} ms`;
}

// What a search may compare its networks by.
export const METRICS = {
  accuracy: { title: "Accuracy", words: "accuracy" },
  balanced_accuracy: { title: "Balanced accuracy", words: "balanced accuracy" },
  macro_f1: { title: "Macro-F1", words: "macro-F1" },
  worst_recall: { title: "Worst class's recall", words: "the worst class's recall" },
};

export const COSTS = {
  mult_adds: { title: "Multiply-adds", words: "multiply-adds", show: short, brief },
  latency_ms: {
    title: "Latency",
    words: "latency",
    show: milliseconds,
    brief: (value) => `${Number(value.toPrecision(3))} ms`,
  },
  params: { title: "Parameters", words: "parameters", show: short, brief },
  peak_memory: { title: "Peak memory", words: "peak memory", show: bytes, brief: briefBytes },
  model_bytes: { title: "Weights", words: "bytes of weights", show: bytes, brief: briefBytes },
};

// What every latency is, and what is said with it: its standard error, where that is known.
export const MEDIAN = "on its machine at its best, ± its standard error";

export function latency(measured) {
  if (missing(measured)) return NONE;
  const error = measured.error_ms && ` ± ${((100 * measured.error_ms) / measured.median_ms).toFixed(1)} %`;
  return milliseconds(measured.median_ms) + (error || "");
}

export function decimal(value, places = 4) {
  return missing(value) ? NONE : value.toFixed(places);
}

export function bytes(value) {
  return missing(value) ? NONE : inBytes(short(value));
}

function briefBytes(value) {
  return inBytes(brief(value));
}

const inBytes = (text) => `${text}B`.replace(/(\d)B$/, "$1 B");

export function duration(seconds) {
  if (missing(seconds)) return NONE;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours
    ? `${hours} h ${String(minutes).padStart(2, "0")} min`
    : `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
}

// How long each network of a run is trained.
export function epochs({ epochs, folds, group }, of) {
  const words = `${epochs} ${epochs === 1 ? "epoch" : "epochs"} ${of}`;
  return folds > 1 ? `${words} in each of ${folds} folds${group ? " of whole groups" : ""}` : words;
}

export function ago(time, now = Date.now() / 1000) {
  const seconds = now - time;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return moment(time);
}

// Times are the reader's own, in one format everywhere, whatever the browser's language: 29 Nov 2026, 14:05, and of what
// happened on the same day 14:05:09.
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECOND = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function moment(time) {
  return missing(time) ? NONE : `${DAY.format(1000 * time)}, ${MINUTE.format(1000 * time)}`;
}

export function clock(time, now = Date.now() / 1000) {
  return DAY.format(1000 * time) === DAY.format(1000 * now) ? SECOND.format(1000 * time) : moment(time);
}
