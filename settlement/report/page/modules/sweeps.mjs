/** What the budget of one party does to all, and what the budgets of two parties do to one. */

import { clear } from "./clearing.mjs";
import { apart, decimal, drawing, fit, label, svg, tickText, ticksOf } from "./dom.mjs";
import { payoffsOf, rowSums } from "./game.mjs";

const LEFT = 52;
const RIGHT = 96;
const BOTTOM = 40;
const TOP = 12;
const MOST_LINES = 10;

/** Payoffs of all parties while the budget of one goes from 0 to the most that it could pay. */
export function sweepOf(round, budgets, caps, party, points) {
  const most = mostOf(round, party);
  const rows = [];
  for (let k = 0; k < points; k += 1) {
    const budget = (most * k) / (points - 1);
    const changed = budgets.map((b, i) => (i === party ? budget : b));
    rows.push({ budget, payoffs: payoffsOf(round.flows, clear(round.flows, changed, caps).factors) });
  }
  return rows;
}

/** The most that a party could have to pay net: its whole cost. */
export function mostOf(round, party) {
  return Math.max(rowSums(round.flows, round.n)[party], 1e-12);
}

/** The sweep as lines, named at their right ends; the current budget is marked. */
export function drawSweep(round, rows, party, current, width, height = 300) {
  const all = rows.flatMap((row) => Array.from(row.payoffs));
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const most = rows.at(-1).budget;
  const x = (budget) => LEFT + (budget / most) * (width - LEFT - RIGHT);
  const y = (value) => TOP + ((high - value) / (high - low || 1)) * (height - TOP - BOTTOM);
  const [levels, budgets] = [ticksOf(low, high, 5), ticksOf(0, most, width > 600 ? 6 : 3)];
  const parts = levels.flatMap((tick) => [
    svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }),
    label(LEFT - 6, y(tick) + 4, tickText(tick, levels), { "text-anchor": "end" }),
  ]);
  for (const tick of budgets) {
    parts.push(label(x(tick), height - 22, tickText(tick, budgets), { "text-anchor": "middle" }));
  }
  const axis = fit(`budget of ${round.parties[party]}, in value units`, width - LEFT);
  parts.push(label(LEFT, height - 4, axis, {}));
  const moved = round.parties
    .map((_, i) => ({ i, by: Math.abs(rows.at(-1).payoffs[i] - rows[0].payoffs[i]) }))
    .sort((a, b) => b.by - a.by);
  const shown = new Set([party, ...moved.slice(0, MOST_LINES - 1).map(({ i }) => i)]);
  for (const i of shown) {
    const d = rows.map((row, k) => `${k ? "L" : "M"}${x(row.budget)},${y(row.payoffs[i])}`).join("");
    const title = svg("title", {}, round.parties[i]);
    parts.push(svg("path", { class: `line c${i % 6}${i === party ? " swept" : ""}`, d }, title));
  }
  const ends = [...shown].map((i) => ({ i, y: y(rows.at(-1).payoffs[i]) }));
  for (const end of apart(ends, TOP + 6, height - BOTTOM)) {
    const name = round.parties[end.i];
    const short = fit(name, RIGHT - 8);
    parts.push(label(width - RIGHT + 6, end.y + 4, short, {}, name));
  }
  const at = x(Math.min(current, most));
  parts.push(svg("line", { class: "mark", x1: at, x2: at, y1: TOP, y2: height - BOTTOM }));
  const told = `Payoffs of the parties while the budget of ${round.parties[party]} goes from 0 to ${decimal(most, 3)}.`;
  return drawing(width, height, told, ...parts);
}

/** Model value of a party over the budgets of two parties: a matrix of rows by the second. */
export function mapOf(round, budgets, caps, [across, down], shown, points) {
  const costs = rowSums(round.flows, round.n);
  const rows = [];
  for (let r = 0; r < points; r += 1) {
    const row = [];
    for (let c = 0; c < points; c += 1) {
      const changed = budgets.map((b, i) => {
        if (i === across) return (mostOf(round, across) * c) / (points - 1);
        return i === down ? (mostOf(round, down) * r) / (points - 1) : b;
      });
      const { factors } = clear(round.flows, changed, caps);
      row.push(round.ownValues[shown] + factors[shown] * costs[shown]);
    }
    rows.push(row);
  }
  return rows;
}

/** The map: darker squares are better models. */
export function drawMap(round, rows, [across, down], shown, width) {
  const points = rows.length;
  const side = Math.min(width - LEFT - 8, 360);
  const cell = side / points;
  const all = rows.flat();
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const parts = [];
  rows.forEach((row, r) =>
    row.forEach((value, c) => {
      const share = high > low ? (value - low) / (high - low) : 1;
      const place = { x: LEFT + c * cell, y: TOP + (points - 1 - r) * cell };
      const box = { width: cell + 0.3, height: cell + 0.3, "fill-opacity": (0.05 + 0.95 * share).toFixed(3) };
      parts.push(svg("rect", { class: "heat", ...place, ...box }));
    }),
  );
  const bottom = TOP + side;
  const [right, up] = [mostOf(round, across), mostOf(round, down)];
  parts.push(label(LEFT, bottom + 15, "0", {}));
  parts.push(label(LEFT + side, bottom + 15, decimal(right, 2), { "text-anchor": "end" }));
  parts.push(label(LEFT - 6, bottom, "0", { "text-anchor": "end" }));
  parts.push(label(LEFT - 6, TOP + 10, decimal(up, 2), { "text-anchor": "end" }));
  parts.push(label(LEFT, bottom + 32, fit(`across: budget of ${round.parties[across]}`, side), {}));
  parts.push(label(LEFT, bottom + 48, fit(`upwards: budget of ${round.parties[down]}`, side), {}));
  const range = `light ${decimal(low, 3)}, dark ${decimal(high, 3)}`;
  parts.push(label(LEFT, bottom + 64, range, {}));
  const told = `Model value of ${round.parties[shown]} over the budgets of ${round.parties[across]} and ${round.parties[down]}: ${range}.`;
  return drawing(LEFT + side + 8, bottom + 72, told, ...parts);
}
