/** Puts the page of a simulation together: what was expected, who gained what, and every round. */

import { html, named, table, units } from "../modules/dom.mjs";
import { csv, save } from "../modules/exports.mjs";
import { drawLines, figureText } from "./lines.mjs";
import { drawRanges } from "./ranges.mjs";
import { Replays } from "./replays.mjs";

const PAUSE_AFTER_RESIZE_MS = 100;
const MOST_OPEN_ROWS = 12;
const FIGURES = {
  surplus: "utility over having stayed alone, base units",
  utility: "utility, base units",
  gain: "gain over being honest in the same round, base units",
  payoff: "payoff, base units",
  model_value: "model value, value units",
  deposit: "deposit, base units",
};
const isValue = (figure) => figure === "model_value";
const PERIOD_FIGURES = { surplus: "surplus", payoff: "payoff_units", model_value: "model_value", deposit: "deposit_units" };

const embedded = document.getElementById("data").textContent;
const simulation = JSON.parse(embedded);
const { summary, axes, cells, behaviours, periods } = simulation;
const place = (id) => document.getElementById(id);
const chosen = { figure: "surplus", axis: 0, values: axes.map(() => 0) };

function story() {
  const { n_rounds: rounds, n_settled: settled, n_cells: count, tier, n_equal: equal, n_calls: calls } = summary;
  const played = tier === "twin" ? "on the twin alone, nothing was compared" : `each on ${tier} and its twin, ${units(BigInt(equal))} equal to the unit`;
  const swept = count > 1 ? ` in ${count} cells` : "";
  place("story").textContent =
    `${units(BigInt(rounds))} rounds${swept}, ${units(BigInt(settled))} settled; ${units(BigInt(calls))} calls of the escrow, ${played}. ` +
    `Seed ${summary.seed}, scenario ${summary.scenario.slice(0, 16)}.`;
}

function verdicts() {
  const broken = summary.verdicts.filter((verdict) => !verdict.holds);
  const failed = summary.failures.length;
  const line = place("verdict");
  line.className = summary.holds ? "right" : "wrong";
  line.textContent = summary.holds
    ? `✓ All ${summary.verdicts.length} expectations hold.`
    : `✗ ${broken.length} of ${summary.verdicts.length} expectations do not hold` + (failed ? `; ${failed} replicates failed.` : ".");
  place("verdicts").replaceChildren(
    ...summary.verdicts.map(({ holds, sentence, that, broken: keys }) =>
      html(
        "li",
        { class: holds ? "right" : "wrong" },
        `${holds ? "✓" : "✗"} ${sentence} `,
        html("code", {}, that),
        ...keys.slice(0, 5).flatMap((key) => [" ", html("a", { href: `#round=${key}` }, key)]),
      ),
    ),
  );
  place("not-modelled").replaceChildren(...summary.not_modelled.map((text) => html("li", {}, text)));
}

/** The rows of the chosen cell. */
function cellOf(values) {
  const wanted = axes.map(({ place: where, values: all }, k) => [where, all[values[k]]]);
  const found = cells.find(({ parameters }) => wanted.every(([where, value]) => same(parameters[where], value)));
  return found ? found.cell : cells[0]?.cell;
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const told = (value) =>
  value && typeof value === "object"
    ? Object.entries(value).map(([key, inner]) => (key === "name" ? told(inner) : `${key} ${told(inner)}`)).join(" ")
    : String(value);
const groupOf = (row) => row.group;
const groups = [...new Set(behaviours.map(groupOf))];

function drawBehaviours() {
  const cell = cellOf(chosen.values);
  const rows = behaviours
    .filter((row) => row.cell === cell && row.figures[chosen.figure])
    .map((row) => ({
      name: groupOf(row),
      figure: row.figures[chosen.figure],
      percentiles: chosen.figure === "surplus" ? row.surplus_percentiles : null,
    }));
  const width = place("ranges").clientWidth;
  place("ranges").replaceChildren(rows.length ? drawRanges(rows, FIGURES[chosen.figure], { isValue: isValue(chosen.figure), width }) : "No such figure here.");
  const header = ["who", "parties", ...Object.keys(FIGURES).map((name) => name.replace("_", " ")), "worse than alone"];
  const all = behaviours
    .filter((row) => row.cell === cell)
    .map((row) => [
      named(groupOf(row)),
      units(BigInt(row.n_rows)),
      ...Object.keys(FIGURES).map((name) => withError(row.figures[name], isValue(name))),
      `${(100 * row.hurt).toFixed(1)} %`,
    ]);
  place("behaviour-table").replaceChildren(table("Means and their standard errors over replicates", header, all));
}

function withError(figure, value) {
  if (!figure) return "–";
  const error = figure.standard_error;
  return figureText(figure.mean, value) + (error === null ? "" : ` ± ${figureText(error, value)}`);
}

function drawSweep() {
  const axis = axes[chosen.axis];
  place("sweeps").hidden = !axis;
  if (!axis) return;
  const at = axis.values.map((_, k) => cellOf(chosen.values.map((value, a) => (a === chosen.axis ? k : value))));
  const series = groups.map((name) => ({
    name,
    figures: at.map((cell) => behaviours.find((row) => row.cell === cell && groupOf(row) === name)?.figures[chosen.figure] ?? null),
  }));
  const shown = { name: axis.place, values: axis.values.map((value) => (typeof value === "number" ? value : told(value))) };
  const words = `${FIGURES[chosen.figure]} over ${axis.place}`;
  const look = { isValue: isValue(chosen.figure), width: place("sweep").clientWidth };
  place("sweep").replaceChildren(drawLines(shown, series, words, look) ?? "No such figure here.");
}

function drawPeriods() {
  const column = PERIOD_FIGURES[chosen.figure] ?? "surplus";
  const cell = cellOf(chosen.values);
  const rows = periods.filter((row) => row.cell === cell);
  place("over-time").hidden = !rows.length;
  if (!rows.length) return;
  const values = [...new Set(rows.map((row) => row.period))].sort((a, b) => a - b);
  const names = [...new Set(rows.map(groupOf))];
  const series = names.map((name) => ({
    name,
    figures: values.map((period) => {
      const row = rows.find((other) => other.period === period && groupOf(other) === name);
      return row && row[column] !== null ? { mean: row[column], low: null, high: null } : null;
    }),
  }));
  const words = `mean ${column.replace("_", " ")} round by round`;
  const look = { isValue: column === "model_value", width: place("periods").clientWidth };
  place("periods").replaceChildren(drawLines({ name: "round", values }, series, words, look) ?? "");
}

function settling() {
  const whole = (number) => figureText(number, false);
  const header = ["cell", "rounds", "settled", "flows", "net transfers", "transfers"];
  const rows = simulation.settling.map((row) => {
    const parameters = cells.find(({ cell }) => cell === row.cell)?.parameters ?? {};
    const name = axes.map((axis) => `${axis.name} ${told(parameters[axis.place])}`).join(", ");
    return [
      name || "all",
      units(BigInt(row.n_rounds)),
      `${(100 * row.settled_share).toFixed(1)} %`,
      whole(row.gross_units),
      whole(row.net_units),
      row.transfers === null ? "–" : row.transfers.toFixed(2),
    ];
  });
  const caption = "Means of settled rounds, in base units: what is owed before netting, and what moves";
  place("settling").replaceChildren(table(caption, header, rows));
  place("cell-by-cell").open = rows.length <= MOST_OPEN_ROWS;
  place("netting").textContent = summary.n_settled
    ? `A settled round moves ${whole(summary.net_units)} base units in ${summary.transfers.toFixed(1)} transfers on average, ` +
      `instead of ${whole(summary.gross_units)} in flows.`
    : "No round was settled.";
}

function controls() {
  const choose = (id, change) => place(id).addEventListener("change", (event) => {
    change(Number.isNaN(Number(event.target.value)) ? event.target.value : Number(event.target.value));
    draw();
    writeAddress();
  });
  const offered = Object.keys(FIGURES).filter((name) => behaviours.some((row) => row.figures[name]));
  place("figure").append(...offered.map((name) => html("option", { value: name }, FIGURES[name])));
  choose("figure", (value) => (chosen.figure = value));
  place("axis").append(...axes.map((axis, k) => html("option", { value: k }, axis.place)));
  choose("axis", (value) => (chosen.axis = value));
  place("cells").append(
    ...axes.map((axis, k) =>
      html(
        "label",
        {},
        `${axis.place} `,
        html("select", { id: `axis-${k}` }, ...axis.values.map((value, v) => html("option", { value: v }, told(value)))),
      ),
    ),
  );
  axes.forEach((_, k) => choose(`axis-${k}`, (value) => (chosen.values[k] = value)));
}

/** What is chosen stands in the address, so that a view can be sent. */
function writeAddress() {
  const words = [`figure=${chosen.figure}`, `axis=${chosen.axis}`, `cell=${chosen.values.join(".")}`];
  history.replaceState(null, "", `#${words.join("&")}`);
}

function readAddress(replays) {
  const found = new URLSearchParams(location.hash.slice(1));
  if (found.has("round")) {
    replays.choose(found.get("round"));
    return;
  }
  if (found.get("figure") in FIGURES) chosen.figure = found.get("figure");
  const axis = Number(found.get("axis"));
  if (axes[axis]) chosen.axis = axis;
  const values = (found.get("cell") ?? "").split(".").map(Number);
  if (values.length === axes.length && values.every((value, k) => axes[k].values[value] !== undefined)) chosen.values = values;
  place("figure").value = chosen.figure;
  place("axis").value = chosen.axis;
  chosen.values.forEach((value, k) => (place(`axis-${k}`).value = value));
  draw();
}

function draw() {
  drawBehaviours();
  drawSweep();
  drawPeriods();
}

function behaviourRows() {
  const names = Object.keys(FIGURES);
  const header = ["cell", ...axes.map((axis) => axis.place), "who", "parties", ...names.flatMap((name) => [name, `${name} standard error`])];
  const rows = behaviours.map((row) => {
    const parameters = cells.find(({ cell }) => cell === row.cell)?.parameters ?? {};
    const figures = names.flatMap((name) => [row.figures[name]?.mean ?? "", row.figures[name]?.standard_error ?? ""]);
    return [row.cell, ...axes.map((axis) => told(parameters[axis.place])), groupOf(row), row.n_rows, ...figures];
  });
  return [header, ...rows];
}

story();
verdicts();
settling();
controls();
const replays = new Replays(simulation.rounds, place);
place("left-out").textContent = simulation.n_rounds_left_out
  ? `${units(BigInt(simulation.n_rounds_left_out))} more rounds are in simulation.sqlite.`
  : "";
const file = summary.name.replace(/[^\p{L}\p{N}]+/gu, "-") || "simulation";
place("save-behaviours").addEventListener("click", () => save(`${file}-behaviours.csv`, "text/csv", csv(behaviourRows())));
place("save-json").addEventListener("click", () => save(`${file}.json`, "application/json", embedded));
if (!axes.length) place("choose-cell").hidden = true;
readAddress(replays);
draw();
globalThis.addEventListener("hashchange", () => readAddress(replays));
let resized = null;
globalThis.addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(draw, PAUSE_AFTER_RESIZE_MS);
});
/** For the console. */
globalThis.fairround = { simulation, chosen, replays };
