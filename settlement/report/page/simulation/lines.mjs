/** Means as lines with their bands, over numbers or over choices. */

import { apart, decimal, drawing, fit, label, svg, tickText, ticksOf, widthOf } from "../modules/dom.mjs";

const LEFT = 64;
const MOST_RIGHT = 240;
const NARROW_RIGHT = 84;
const TOP = 12;
const BOTTOM = 44;
const COLOURS = 6;
const MOST_POINTS = 40;
const LINE = 14;
const MOST_STACKED = 6;

/**
 * Lines over an axis.
 *
 * `axis` is { name, values }; `series` are { name, figures }, figures[k] being the figure at
 * values[k]: { mean, low, high } or null. Numbers stand where they belong, choices side by side.
 * `isValue`: the figures are values, not base units.
 */
export function drawLines(axis, series, told, { isValue, width, height: plain = 300 }) {
  const longest = Math.max(...series.map(({ name }) => widthOf(name))) + 12;
  const right = width > 560 ? Math.min(MOST_RIGHT, Math.max(NARROW_RIGHT, longest)) : NARROW_RIGHT;
  const numeric = axis.values.every((value) => typeof value === "number");
  const [first, last] = numeric ? [Math.min(...axis.values), Math.max(...axis.values)] : [0, axis.values.length - 1];
  const x = (k) => {
    const at = numeric ? axis.values[k] : k;
    return LEFT + ((at - first) / (last - first || 1)) * (width - LEFT - right);
  };
  const stacked = !numeric && stacks(axis.values, width - LEFT - right);
  const bottom = BOTTOM + (stacked ? (axis.values.length - 1) * LINE : 0);
  const height = plain + bottom - BOTTOM;
  const ends = series.flatMap(({ figures }) => figures.flatMap((figure) => (figure ? endsOf(figure) : [])));
  if (!ends.length) return null;
  const [low, high] = spread(Math.min(...ends), Math.max(...ends));
  const y = (value) => TOP + ((high - value) / (high - low)) * (height - TOP - bottom);
  const levels = ticksOf(low, high, 5);
  const parts = levels.flatMap((tick) => [
    svg("line", { class: "grid", x1: LEFT, x2: width - right, y1: y(tick), y2: y(tick) }),
    label(LEFT - 6, y(tick) + 4, short(tick, levels), { "text-anchor": "end" }),
  ]);
  parts.push(...(numeric ? marksOfNumbers(first, last, width, right, height) : marksOfChoices(axis.values, x, stacked, width, right, height - bottom + 18)));
  parts.push(label(LEFT, height - 6, fit(axis.name, width - LEFT)));
  series.forEach(({ name, figures }, s) => {
    const known = fromTheLeft(figures, x);
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
    const known = fromTheLeft(figures, x);
    return known.length ? [{ name, y: y(known.at(-1).mean) }] : [];
  });
  for (const { name, y: at } of apart(names, TOP + 6, height - bottom)) {
    parts.push(label(width - right + 8, at + 4, fit(name, right - 10), {}, name));
  }
  return drawing(width, height, told, ...parts);
}

/** The figures that are known, in the order in which a line meets them: values may descend. */
function fromTheLeft(figures, x) {
  const known = figures.flatMap((figure, k) => (figure ? [{ ...figure, x: x(k) }] : []));
  return known.sort((a, b) => a.x - b.x);
}

function marksOfNumbers(first, last, width, right, height) {
  const ticks = ticksOf(first, last, width > 600 ? 6 : 3);
  const place = (tick) => LEFT + ((tick - first) / (last - first || 1)) * (width - LEFT - right);
  return ticks.map((tick) => label(place(tick), height - 26, tickText(tick, ticks), { "text-anchor": "middle" }));
}

/** The width that a choice's name has, if all stand in one line: the outer two reach inwards. */
function roomOf(count, width) {
  return (width / Math.max(1, count - 1)) * (count > 2 ? 2 / 3 : 1 / 2) - 8;
}

/** Whether the names of choices need a line each. */
function stacks(values, width) {
  const room = roomOf(values.length, width);
  return values.length > 1 && values.length <= MOST_STACKED && values.some((value) => widthOf(String(value)) > room);
}

function marksOfChoices(values, x, stacked, width, right, top) {
  const room = values.length > 1 ? roomOf(values.length, width - LEFT - right) : width - LEFT;
  return values.flatMap((value, k) => {
    const half = (LEFT + width - right) / 2;
    const toTheRight = stacked ? x(k) < half : k === 0;
    const toTheLeft = stacked ? !toTheRight : k === values.length - 1;
    const anchor = toTheRight ? "start" : toTheLeft ? "end" : "middle";
    const text = fit(String(value), stacked ? (toTheRight ? width - x(k) : x(k)) : room);
    const y = top + (stacked ? k * LINE : 0);
    const stem = svg("line", { class: "grid", x1: x(k), x2: x(k), y1: top - 18, y2: y - 10 });
    return [...(stacked ? [stem] : []), label(x(k), y, text, { "text-anchor": anchor }, String(value))];
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
