// Scales from values to pixels (`at`) and back (`of`), with ticks that people would choose.

// Steps of 1, 2 or 5 times a power of ten, about `count` of them.
function step(span, count) {
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.9999) ?? 10);
}

// Rounded outwards to whole steps: while points arrive the axis seldom moves.
export function linear(low, high, from, to, count = 5) {
  if (!(high > low)) [low, high] = [low - Math.abs(low) * 0.05 - 0.001, high + Math.abs(high) * 0.05 + 0.001];
  const size = step(high - low, count);
  const [first, last] = [Math.floor(low / size + 1e-9) * size, Math.ceil(high / size - 1e-9) * size];
  const ticks = [];
  for (let index = 0; first + index * size <= last + size / 2; index++)
    ticks.push(Number((first + index * size).toPrecision(12)));
  const at = (value) => from + ((value - first) / (last - first)) * (to - from);
  const of = (pixel) => first + ((pixel - from) / (to - from)) * (last - first);
  return { at, of, ticks, low: first, high: last };
}

export function logarithmic(low, high, from, to, count = 6) {
  const [first, last] = [rounded(low, Math.floor), rounded(high, Math.ceil)];
  const ticks = [];
  for (let power = Math.floor(Math.log10(first)); power <= Math.ceil(Math.log10(last)); power++) {
    for (const factor of [1, 2, 5]) {
      const tick = Number((factor * 10 ** power).toPrecision(12));
      if (tick >= first * 0.9999 && tick <= last * 1.0001) ticks.push(tick);
    }
  }
  const span = Math.log(last / first);
  const at = (value) => from + (Math.log(value / first) / span) * (to - from);
  const of = (pixel) => first * Math.exp((span * (pixel - from)) / (to - from));
  const kept =
    ticks.length > 2 * count
      ? ticks.filter((tick) => Number.isInteger(Math.round(1e6 * Math.log10(tick)) / 1e6))
      : ticks;
  return { at, of, ticks: kept, low: first, high: last };
}

// To the next tenth of a power of ten, so that the ends follow the points closely.
function rounded(value, direction) {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  return Number(
    ((direction((value / power) * 10 - (direction === Math.ceil ? 1e-9 : -1e-9)) / 10) * power).toPrecision(12),
  );
}

// A cost: by its logarithm as soon as the dearest is many times the cheapest.
export function costly(low, high, from, to, count) {
  return low > 0 && high / low > 6 ? logarithmic(low, high, from, to, count) : linear(low, high, from, to, count);
}
