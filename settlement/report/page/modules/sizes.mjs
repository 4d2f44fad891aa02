/** The value table by size of coalition, with standard errors and with what is not monotone. */

import { decimal, drawing, label, svg, tickText, ticksOf } from "./dom.mjs";
import { brokenEdges, sizeOf } from "./game.mjs";

const LEFT = 44;
const BOTTOM = 40;
const TOP = 12;

/** Names of a coalition's members. */
export function describe(round, coalition) {
  const members = round.parties.filter((_, i) => (coalition >> i) & 1);
  return `{${members.join(", ")}}`;
}

/** The drawing: a dot a coalition up to eight parties, a band from least to greatest beyond. */
export function drawSizes(round, width, height = 300) {
  const { n } = round;
  const measured = round.measured ?? round.values;
  const errors = round.valueErrors;
  const [low, high] = [Math.min(...measured, 0), Math.max(...measured)];
  const y = (value) => TOP + ((high - value) / (high - low || 1)) * (height - TOP - BOTTOM);
  const column = (width - LEFT - 8) / n;
  const x = (size) => LEFT + (size - 0.5) * column;
  const ticks = ticksOf(low, high, 5);
  const parts = ticks.map((tick) =>
    svg(
      "g",
      {},
      svg("line", { class: "grid", x1: LEFT, x2: width, y1: y(tick), y2: y(tick) }),
      label(LEFT - 6, y(tick) + 4, tickText(tick, ticks), { "text-anchor": "end" }),
    ),
  );
  const bySize = Array.from({ length: n + 1 }, () => []);
  for (let c = 1; c < measured.length; c += 1) bySize[sizeOf(c)].push(c);
  const places = new Map();
  bySize.slice(1).forEach((coalitions, k) => {
    const size = k + 1;
    const step = (0.7 * column) / Math.max(1, coalitions.length);
    coalitions.forEach((coalition, at) => {
      places.set(coalition, x(size) + (at - (coalitions.length - 1) / 2) * step);
    });
    if (n <= 20) parts.push(label(x(size), height - 22, String(size), { "text-anchor": "middle" }));
  });
  parts.push(label(LEFT, height - 4, "parties in the coalition", {}));
  const broken = brokenEdges(measured);
  if (n <= 8) {
    for (const { coalition, party, drop } of broken) {
      if (!coalition) continue;
      const larger = coalition | (1 << party);
      const title = `${describe(round, larger)} is worth ${decimal(drop)} less than without ${round.parties[party]}`;
      const ends = { x1: places.get(coalition), x2: places.get(larger) };
      const heights = { y1: y(measured[coalition]), y2: y(measured[larger]) };
      parts.push(svg("line", { class: "broken", ...ends, ...heights }, svg("title", {}, title)));
    }
    for (const [coalition, at] of places) parts.push(...dot(round, coalition, at, y, measured, errors));
  } else {
    bySize.slice(1).forEach((coalitions, k) => parts.push(...band(coalitions, x(k + 1), y, measured)));
  }
  const told = `Values of ${measured.length - 1} coalitions by their size; ${broken.length} steps lower a value.`;
  return drawing(width, height, told, ...parts);
}

function dot(round, coalition, at, y, measured, errors) {
  const value = measured[coalition];
  const title = `${describe(round, coalition)}: ${decimal(value, 6)}`;
  const circle = svg("circle", { class: "dot", cx: at, cy: y(value), r: 3 }, svg("title", {}, title));
  const error = errors && round.n <= 6 ? errors[coalition] : 0;
  if (!error) return [circle];
  const [low, high] = [y(value - 2 * error), y(value + 2 * error)];
  return [svg("line", { class: "whisker", x1: at, x2: at, y1: low, y2: high }), circle];
}

function band(coalitions, at, y, measured) {
  const values = coalitions.map((c) => measured[c]).sort((a, b) => a - b);
  const [least, most, middle] = [values[0], values.at(-1), values[values.length >> 1]];
  const told = `${values.length} coalitions: ${decimal(least)} to ${decimal(most)}, median ${decimal(middle)}`;
  const line = svg("line", { class: "band", x1: at, x2: at, y1: y(least), y2: y(most) });
  return [line, svg("circle", { class: "dot", cx: at, cy: y(middle), r: 4 }, svg("title", {}, told))];
}
