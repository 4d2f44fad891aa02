/** Means as lines with their bands, over numbers or over choices. */

import { apart, decimal, drawing, fit, label, svg, tickText, ticksOf } from "../modules/dom.mjs";

const LEFT = 64;
const RIGHT = 120;
const TOP = 12;
const BOTTOM = 44;
const COLOURS = 6;
const MOST_POINTS = 40;

/**
 * Lines over an axis.
 *
 * `axis` is { name, values }; `series` are { name, figures }, figures[k] being the figure at
 * values[k]: { mean, low, high } or null. Numbers stand where they belong, choices side by side.
 * `isValue`: the figures are values, not base units.
 */
export function drawLines(axis, series, told, { isValue, width, height = 300 }) {
  const right = width > 560 ? RIGHT : 84;
  const numeric = axis.values.every((value) => typeof value === "number");
  const [first, last] = numeric ? [Math.min(...axis.values), Math.max(...axis.values)] : [0, axis.values.length - 1];
  const x = (k) => {
    const at = numeric ? axis.values[k] : k;
    return LEFT + ((at - first) / (last - first || 1)) * (width - LEFT - right);
  };
  const ends = series.flatMap(({ figures }) => figures.flatMap((figure) => (figure ? endsOf(figure) : [])));
  if (!ends.length) return null;
  const [low, high] = spread(Math.min(...ends), Math.max(...ends));
  const y = (value) => TOP + ((high - value) / (high - low)) * (height - TOP - BOTTOM);
  const levels = ticksOf(low, high, 5);
  const parts = levels.flatMap((tick) => [
    svg("line", { class: "grid", x1: LEFT, x2: width - right, y1: y(tick), y2: y(tick) }),
    label(LEFT - 6, y(tick) + 4, short(tick, levels), { "text-anchor": "end" }),
  ]);
  parts.push(...marks(axis, numeric, first, last, x, width, right, height));
  parts.push(label(LEFT, height - 6, fit(axis.name, width - LEFT)));
  series.forEach(({ name, figures }, s) => {
    const known = figures.flatMap((figure, k) => (figure ? [{ ...figure, x: x(k) }] : []));
    const path = (points) => points.map(([px, py], k) => `${k ? "L" : "M"}${px},${py}`).join("");
    const banded = known.filter((point) => point.low !== null);
    if (banded.length > 1) {
      const around = [...banded.map((p) => [p.x, y(p.high)]), ...banded.reverse().map((p) => [p.x, y(p.low)])];
      parts.push(svg("path", { class: `area c${s % COLOURS}`, d: `${path(around)}Z` }));
    }
    const d = path(known.map((point) => [point.x, y(point.mean)]));
    parts.push(svg("path", { class: `line c${s % COLOURS}`, d }, svg("title", {}, name)));
    for (const point of known.length > MOST_POINTS ? [] : known) {
      const title = svg("title", {}, `${name}: ${figureText(point.mean, isValue)}`);
      parts.push(svg("circle", { class: `ring c${s % COLOURS}`, cx: point.x, cy: y(point.mean), r: 3 }, title));
    }
  });
  const names = series.flatMap(({ name, figures }) => {
    const known = figures.filter((figure) => figure);
    return known.length ? [{ name, y: y(known.at(-1).mean) }] : [];
  });
  for (const { name, y: at } of apart(names, TOP + 6, height - BOTTOM)) {
    parts.push(label(width - right + 8, at + 4, fit(name, right - 10), {}, name));
  }
  return drawing(width, height, told, ...parts);
}

function marks(axis, numeric, first, last, x, width, right, height) {
  if (numeric) {
    const ticks = ticksOf(first, last, width > 600 ? 6 : 3);
    const place = (tick) => LEFT + ((tick - first) / (last - first || 1)) * (width - LEFT - right);
    return ticks.map((tick) =>
      label(place(tick), height - 26, tickText(tick, ticks), { "text-anchor": "middle" }),
    );
  }
  const room = (width - LEFT - right) / Math.max(1, axis.values.length - 1);
  return axis.values.map((value, k) => {
    const text = fit(String(value), Math.max(24, room - 8));
    const anchor = k ? (k === axis.values.length - 1 ? "end" : "middle") : "start";
    return label(x(k), height - 26, text, { "text-anchor": anchor }, String(value));
  });
}

function endsOf(figure) {
  return figure.low === null ? [figure.mean] : [figure.low, figure.high];
}

/** A range that is never empty. */
function spread(low, high) {
  return high > low ? [low, high] : [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
}

/** Ticks of large amounts as thousands, so that they fit beside the axis. */
function short(tick, ticks) {
  const large = ticks.some((other) => Math.abs(other) >= 10_000);
  return large ? `${tickText(tick / 1000, ticks.map((other) => other / 1000))}k` : tickText(tick, ticks);
}

/** A figure as people read it: base units whole, values (`isValue`) with four decimals. */
export function figureText(number, isValue) {
  if (number === null || number === undefined) return "–";
  if (isValue) return decimal(number).replace("-", "−");
  const whole = Math.round(number) + 0; // no minus before a zero
  return whole.toLocaleString("en-US").replace("-", "−");
}
