/** Who pays whom for data, before budgets: as a heat map with sums, and as a ring of chords. */

import { decimal, drawing, fit, label, svg } from "./dom.mjs";
import { rowSums } from "./game.mjs";

const { chordDirected, ribbonArrow, arc } = globalThis.d3 ?? {};

/** The heat map: a row a payer, a column a payee, and two columns of sums. */
export function drawHeat(round, width) {
  const { n, flows } = round;
  const names = Math.min(150, Math.floor(width * 0.26)) + 22;
  const sums = 56;
  const cell = Math.max(18, Math.min(48, Math.floor((width - names - 2 * sums) / n)));
  const top = 22;
  const full = names + n * cell + 2 * sums;
  const largest = Math.max(...flows, 1e-12);
  const paid = rowSums(flows, n);
  const received = new Float64Array(n);
  for (let i = 0; i < n; i += 1) for (let j = 0; j < n; j += 1) received[j] += flows[i * n + j];
  const centred = { "text-anchor": "middle" };
  const right = { "text-anchor": "end" };
  const parts = [
    label(names + n * cell + sums - 6, 14, "pays", right),
    label(names + n * cell + 2 * sums - 6, 14, "receives", right),
  ];
  for (let i = 0; i < n; i += 1) {
    const y = top + i * cell;
    const middle = y + cell / 2 + 4;
    parts.push(label(names + i * cell + cell / 2, 14, String(i), centred));
    parts.push(label(16, middle, String(i), right));
    parts.push(label(22, middle, fit(round.parties[i], names - 28), {}, round.parties[i]));
    for (let j = 0; j < n; j += 1) {
      if (i !== j) parts.push(...square(round, i, j, names + j * cell, y, cell, largest));
    }
    parts.push(label(names + n * cell + sums - 6, middle, decimal(paid[i], 3), right));
    parts.push(label(names + n * cell + 2 * sums - 6, middle, decimal(received[i], 3), right));
  }
  const title = "Payoff flows before budgets. The table below has the same figures.";
  return drawing(full, top + n * cell + 4, title, ...parts);
}

function square(round, i, j, x, y, cell, largest) {
  const flow = round.flows[i * round.n + j];
  const share = Math.max(0, flow) / largest;
  const title = `${round.parties[i]} pays ${round.parties[j]} ${decimal(flow, 6)}`;
  const box = { x: x + 1, y: y + 1, width: cell - 2, height: cell - 2 };
  const parts = [
    svg("rect", { class: "heat", ...box, "fill-opacity": (0.04 + 0.96 * share).toFixed(3) }, svg("title", {}, title)),
  ];
  if (cell >= 38) {
    const centred = { "text-anchor": "middle", class: share > 0.75 ? "on-heat" : null };
    parts.push(label(x + cell / 2, y + cell / 2 + 4, decimal(flow, 3), centred));
  }
  return parts;
}

/** The ring, for a dozen parties at most: arrows point to who is paid. */
export function drawChords(round, width) {
  const { n, flows } = round;
  const size = Math.min(width, 420);
  const outer = size / 2 - 26;
  const matrix = Array.from({ length: n }, (_, i) =>
    Array.from({ length: n }, (_, j) => Math.max(0, flows[i * n + j])),
  );
  const chords = chordDirected().padAngle(Math.min(0.08, 1 / n))(matrix);
  const shape = ribbonArrow().radius(outer - 12).headRadius(10);
  const ring = arc().innerRadius(outer - 8).outerRadius(outer);
  const parts = Array.from(chords, (chord) => {
    const [from, to] = [chord.source.index, chord.target.index];
    const title = `${round.parties[from]} pays ${round.parties[to]} ${decimal(flows[from * n + to], 4)}`;
    return svg("path", { class: `chord c${from % 6}`, d: shape(chord) }, svg("title", {}, title));
  });
  for (const group of chords.groups) {
    parts.push(svg("path", { class: `ring c${group.index % 6}`, d: ring(group) }));
    if (group.endAngle - group.startAngle < 14 / outer) continue;
    const angle = (group.startAngle + group.endAngle) / 2 - Math.PI / 2;
    const [x, y] = [Math.cos(angle) * (outer + 12), Math.sin(angle) * (outer + 12)];
    parts.push(label(x, y + 4, String(group.index), { "text-anchor": "middle" }));
  }
  const group = svg("g", { transform: `translate(${size / 2},${size / 2})` }, ...parts);
  return drawing(size, size, "The same flows as a ring: arrows point to who is paid.", group);
}
