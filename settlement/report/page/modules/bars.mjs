/** A bar a party: what its own model is worth, what it bought, and what all together are worth. */

import { STRONG, decimal, drawing, fit, label, svg, units, widthOf } from "./dom.mjs";

const ROW = 40;
const BAR = 14;

/** The bars; `settled` are the model values of the settled round, shown as marks if others are. */
export function drawBars(round, { modelValues, nets, errors, settled }, width) {
  const grand = Math.max(round.grandValue, ...round.ownValues, 1e-12);
  const scale = (value) => Math.max(0, (value / grand) * (width - 2));
  const parts = [];
  round.parties.forEach((name, i) => {
    const top = i * ROW;
    const figures = `${decimal(modelValues[i], 3)} · ${units(nets[i], true)}`;
    const room = width - widthOf(figures) - 12;
    parts.push(label(0, top + 13, fit(name, room, STRONG), { class: "strong" }, name));
    parts.push(label(width, top + 13, figures, { "text-anchor": "end" }));
    const y = top + 19;
    parts.push(bar("rest", 0, scale(round.grandValue), y));
    parts.push(bar("own", 0, scale(round.ownValues[i]), y));
    const from = scale(round.ownValues[i]);
    parts.push(bar("paid", from, Math.max(0, scale(modelValues[i]) - from), y));
    if (errors) parts.push(whisker(scale, modelValues[i], errors[i], y, width));
    if (settled) {
      const x = scale(settled[i]);
      parts.push(svg("line", { class: "mark", x1: x, x2: x, y1: y - 3, y2: y + BAR + 3 }));
    }
  });
  const told = round.parties.map((name, i) => `${name}: ${decimal(modelValues[i], 3)}`).join(", ");
  return drawing(width, round.n * ROW, `Model values of the parties. ${told}`, ...parts);
}

function bar(kind, x, width, y) {
  return svg("rect", { class: kind, x: x + 1, y, width, height: BAR });
}

/** Two standard errors to each side, within the drawing. */
function whisker(scale, value, error, y, width) {
  const [low, high] = [scale(value - 2 * error), Math.min(width - 1, scale(value + 2 * error))];
  const middle = y + BAR / 2;
  const path = `M${low},${middle}H${high}M${low},${middle - 4}v8M${high},${middle - 4}v8`;
  return svg("path", { class: "whisker", d: path });
}
