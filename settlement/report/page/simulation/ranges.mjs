/** One row a behaviour: its mean, how certain that is, and how far single parties lie from it. */

import { STRONG, drawing, fit, label, svg, tickText, ticksOf, widthOf } from "../modules/dom.mjs";
import { figureText } from "./lines.mjs";

const ROW = 42;
const AXIS = 22;

/**
 * The rows. Each is { name, figure: { mean, low, high }, percentiles }, where percentiles maps
 * "5", "25", "75", "95" to numbers, or is null.
 */
export function drawRanges(rows, told, { isValue, width }) {
  const ends = rows.flatMap(({ figure, percentiles }) => [
    figure.mean,
    ...(figure.low === null ? [] : [figure.low, figure.high]),
    ...(percentiles ? [percentiles["5"], percentiles["95"]] : []),
  ]);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const x = (value) => 4 + ((value - low) / (high - low || 1)) * (width - 8);
  const height = rows.length * ROW + AXIS;
  const ticks = ticksOf(low, high, width > 600 ? 6 : 3);
  const thousands = ticks.some((tick) => Math.abs(tick) >= 10_000);
  const parts = ticks.map((tick) =>
    svg("line", { class: tick ? "grid" : "zero", x1: x(tick), x2: x(tick), y1: 0, y2: height - AXIS }),
  );
  rows.forEach(({ name, figure, percentiles }, k) => {
    const top = k * ROW;
    const error = figure.standard_error;
    const text = (number) => figureText(number, isValue);
    const figures = text(figure.mean) + (error === null ? "" : ` ± ${text(error)}`);
    const room = width - widthOf(figures) - 12;
    parts.push(label(0, top + 13, fit(name, room, STRONG), { class: "strong" }, name));
    parts.push(label(width, top + 13, figures, { "text-anchor": "end" }));
    const y = top + 27;
    if (percentiles) {
      const [p5, p25, p75, p95] = ["5", "25", "75", "95"].map((q) => x(percentiles[q]));
      parts.push(svg("line", { class: "grid", x1: p5, x2: p95, y1: y, y2: y }));
      parts.push(svg("rect", { class: "rest", x: p25, y: y - 5, width: Math.max(1, p75 - p25), height: 10 }));
    }
    if (figure.low !== null) {
      const [from, to] = [x(figure.low), x(figure.high)];
      parts.push(svg("path", { class: "whisker", d: `M${from},${y}H${to}M${from},${y - 4}v8M${to},${y - 4}v8` }));
    }
    parts.push(svg("circle", { class: "dot", cx: x(figure.mean), cy: y, r: 4.5 }));
  });
  for (const [k, tick] of ticks.entries()) {
    const text = thousands ? `${tickText(tick / 1000, ticks.map((t) => t / 1000))}k` : tickText(tick, ticks);
    const half = widthOf(text) / 2;
    const at = Math.min(width - half, Math.max(half, x(tick)));
    const before = k ? x(ticks[k - 1]) : -Infinity;
    if (at - half > before + half) parts.push(label(at, height - 6, text, { "text-anchor": "middle" }));
  }
  const read = rows.map(({ name, figure }) => `${name}: ${figureText(figure.mean, isValue)}`).join(", ");
  return drawing(width, height, `${told}. ${read}`, ...parts);
}
