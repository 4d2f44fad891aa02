/** Puts the page of a payoff matrix together: what each deviation does to everybody. */

import { html, named, table, units } from "../modules/dom.mjs";
import { csv, save } from "../modules/exports.mjs";
import { figureText } from "./lines.mjs";

const FIGURES = {
  change: "change of utility against all honest, base units",
  utility: "utility, base units",
  surplus: "utility over having stayed alone, base units",
  payoff_units: "payoff, base units",
  model_value: "model value, value units",
  gas: "gas",
};
const ROUNDING = 1.5;

const embedded = document.getElementById("data").textContent;
const matrix = JSON.parse(embedded);
const place = (id) => document.getElementById(id);
let figure = "change";

function story() {
  const worth = matrix.parties.map((name, k) => `${name} ${matrix.private_rates[k]}`).join(", ");
  place("story").textContent =
    `${matrix.parties.length} parties, settled by ${matrix.way}; ${matrix.lines.length - 1} deviations, each by one alone. ` +
    `A unit of value is worth to each party, in exchange rates: ${worth}.`;
  const line = place("verdict");
  const disagree = matrix.disagreements.length;
  line.className = matrix.honest_is_best_reply && !disagree ? "right" : "wrong";
  const regret = figureText(matrix.regret, false);
  line.textContent = matrix.honest_is_best_reply
    ? `✓ Honest is a best reply for everybody: the most that a deviation brings is ${regret} base units.`
    : `✗ Honest is not a best reply: somebody gains ${regret} base units by a deviation.`;
  if (disagree) line.textContent += ` Contract and twin disagree ${disagree} times.`;
}

function show() {
  const header = ["who does what", "settled", ...matrix.parties.map((name) => named(name)), "gas in all"];
  const rows = matrix.lines.map((line) => [
    nameOf(line),
    line.settled ? "yes" : "no",
    ...line.parties.map((party) => cell(line, party)),
    line.total_gas === null ? "–" : units(BigInt(Math.round(line.total_gas))),
  ]);
  place("matrix").replaceChildren(table(FIGURES[figure], header, rows, { id: "matrix-table" }));
}

function nameOf(line) {
  return html("span", {}, named(line.name));
}

/** A figure; whose own deviation it is stands out, and so do gains and losses beyond rounding. */
function cell(line, party) {
  const number = party[figure];
  const own = line.who === party.name;
  const tone = party.change > ROUNDING ? "right" : party.change < -ROUNDING ? "wrong" : null;
  const text = figureText(number, figure === "model_value");
  const told = figure === "change" && Math.round(number) > 0 ? `+${text}` : text;
  return html(own ? "strong" : "span", { class: tone }, own ? `${told} ◂` : told);
}

function matrixRows() {
  const names = Object.keys(FIGURES);
  const header = ["line", "who", "behaviour", "settled", "party", ...names];
  const rows = matrix.lines.flatMap((line) =>
    line.parties.map((party) => [
      line.name,
      line.who ?? "",
      line.behaviour ?? "",
      String(line.settled),
      party.name,
      ...names.map((name) => party[name]),
    ]),
  );
  return [header, ...rows];
}

story();
place("figure").append(...Object.entries(FIGURES).map(([name, text]) => html("option", { value: name }, text)));
place("figure").addEventListener("change", (event) => {
  figure = event.target.value;
  show();
});
show();
place("disagreements").replaceChildren(...matrix.disagreements.map((text) => html("li", { class: "wrong" }, text)));
place("save-matrix").addEventListener("click", () => save("attack.csv", "text/csv", csv(matrixRows())));
place("save-json").addEventListener("click", () => save("attack.json", "application/json", embedded));
/** For the console. */
globalThis.fairround = { matrix };
