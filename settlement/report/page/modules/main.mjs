/** Puts the page together from the embedded round. */

import { drawBars } from "./bars.mjs";
import { checkRound } from "./checks.mjs";
import { decimal, html, named, signed, table, units } from "./dom.mjs";
import { csv, flowRows, partyRows, save, transferRows } from "./exports.mjs";
import { drawChords, drawHeat } from "./flows.mjs";
import { brokenEdges } from "./game.mjs";
import { readRound } from "./round.mjs";
import { drawTransfers } from "./sankey.mjs";
import { describe, drawSizes } from "./sizes.mjs";
import { WhatIf, outcomeOf } from "./whatif.mjs";

const MOST_CHORDS = 12;
const MOST_ROWS = 300;
const MOST_NAMED = 3;
const PAUSE_AFTER_RESIZE_MS = 100;

const embedded = document.getElementById("data").textContent;
const place = (id) => document.getElementById(id);
const round = read();

function read() {
  try {
    return readRound(JSON.parse(embedded));
  } catch (error) {
    place("verdict").className = "wrong";
    place("verdict").textContent = `✗ The embedded data cannot be read: ${error.message}.`;
    throw error;
  }
}

/** In one sentence, who is in the round, and who paid what to whom. */
function story() {
  const who = (parties) => {
    if (parties.length > MOST_NAMED) return [`${parties.length} parties`];
    return parties.flatMap((party, k) => {
      const before = k === 0 ? "" : k === parties.length - 1 ? " and " : ", ";
      return [before, named(round.parties[party])];
    });
  };
  const distinct = (side) => [...new Set(round.transfers.map((transfer) => transfer[side]))];
  const values = round.trained ?? "the values were given";
  const start = `${round.n} parties are worth ${decimal(round.grandValue)} together (${values}). `;
  if (!round.transfers.length) return [start, "Nobody paid anything."];
  const sum = round.transfers.reduce((total, transfer) => total + transfer.amount, 0n);
  return [start, ...who(distinct("debtor")), ` paid ${units(sum)} base units to `, ...who(distinct("creditor")), "."];
}

function partyTable() {
  const header = ["party", "own value", "deposit", "lambda", "payoff", "net position", "model value"];
  const scores = new Map(round.rewards.map((reward) => [reward.party, reward]));
  if (scores.size) header.push("reward's score", "on holdout");
  const withError = (text, errors, i) => (errors ? `${text} ± ${decimal(errors[i])}` : text);
  const score = (number) => (number === null || number === undefined ? "–" : decimal(number));
  const rows = round.parties.slice(0, MOST_ROWS).map((name, i) => {
    const cells = [
      named(name),
      decimal(round.ownValues[i]),
      units(round.deposits[i]),
      withError(decimal(round.factors[i]), round.factorErrors, i),
      withError(signed(round.payoffs[i]), round.payoffErrors, i),
      units(round.nets[i], true),
      withError(decimal(round.modelValues[i]), round.modelValueErrors, i),
    ];
    const reward = scores.get(i);
    if (scores.size) cells.push(score(reward?.validationScore), score(reward?.holdoutScore));
    return cells;
  });
  const errors = round.factorErrors || round.payoffErrors || round.modelValueErrors;
  const caption =
    "The parties: values in units of value, amounts in base units" +
    (errors ? "; ± is one standard error" : "");
  return table(caption, header, rows, { id: "party-table" });
}

function happened() {
  place("parties").append(partyTable());
  if (round.n > MOST_ROWS) place("parties").append(`The first ${MOST_ROWS} of ${round.n} parties.`);
  const rows = round.transfers
    .slice(0, MOST_ROWS)
    .map((t) => [named(round.parties[t.debtor]), named(round.parties[t.creditor]), units(t.amount)]);
  const caption = "Transfers in base units";
  place("transfer-table").append(table(caption, ["debtor", "creditor", "amount"], rows));
}

function drawSettled() {
  if (round.n > MOST_ROWS) return;
  const { modelValues, nets, modelValueErrors: errors } = round;
  const drawn = { modelValues, nets, errors, settled: null };
  place("bars").replaceChildren(drawBars(round, drawn, place("bars").clientWidth));
  const streams = drawTransfers(round, round.transfers, place("streams").clientWidth);
  place("streams").replaceChildren(streams ?? "Nobody pays.");
}

function drawGame() {
  if (!round.flows) return;
  place("heat").replaceChildren(drawHeat(round, place("heat").clientWidth));
  if (round.n <= MOST_CHORDS) {
    place("chords").replaceChildren(drawChords(round, place("chords").clientWidth));
  }
  if (round.values) place("sizes").replaceChildren(drawSizes(round, place("sizes").clientWidth));
}

function gameTables() {
  if (!round.flows) {
    for (const id of ["whatif", "game"]) place(id).hidden = true;
    return;
  }
  const rows = flowRows(round).slice(1).map((row) => row.map((cell, k) => (k ? decimal(cell) : named(cell))));
  const header = ["payer", ...round.parties.map((name) => named(name))];
  place("flow-table").append(table("Payoff flows before budgets, in value units", header, rows));
  if (!round.values) {
    place("values").hidden = true;
    return;
  }
  const measured = round.measured ?? round.values;
  const broken = brokenEdges(measured);
  place("monotone").textContent = broken.length
    ? `${broken.length} times a party makes a coalition worse, by at most ${decimal(broken[0].drop)} ` +
      `(${describe(round, broken[0].coalition)} and ${round.parties[broken[0].party]}); ` +
      (round.measured ? "the round went on with a monotone cover of the table." : "the table was kept.")
    : "No party makes any coalition worse.";
}

function chain() {
  const facts = [
    ["escrow", round.reference.escrow],
    ["chain id", String(round.reference.chainId)],
    ["round", String(round.reference.roundId)],
    ["settled in block", String(round.settlementBlock)],
    ["plan", round.planId],
    ["terms", round.reference.termsHash],
    ["base units for one unit of value (nu)", units(round.rate)],
    ["wei for one base unit", units(BigInt(round.unitScale))],
    ...Object.entries(round.seals).map(([stage, seal]) => [`seal of ${stage}`, seal]),
  ];
  place("facts").append(
    ...facts.flatMap(([what, text]) => [html("dt", {}, what), html("dd", {}, text)]),
  );
  const rows = round.transactions.map((t) => [t.told, String(t.block), units(BigInt(t.gas)), t.hash]);
  const missing = round.nTransactions - rows.length;
  const caption =
    `Transactions: ${units(BigInt(round.nTransactions))}, ${units(BigInt(round.gasInAll))} gas in all` +
    (missing ? `; the first ${rows.length} are shown, fairround show --tx has the others` : "");
  place("transactions").append(table(caption, ["what", "block", "gas", "hash"], rows));
  place("decoded").append(...round.transactions.map(decoded));
}

/** One transaction in full: who sent what to the escrow, and what the escrow logged. */
function decoded(sent) {
  const facts = Object.entries(sent.arguments).map(([name, text]) => [name, text]);
  if (sent.valueWei !== "0") facts.push(["wei sent along", units(BigInt(sent.valueWei))]);
  facts.push(["sender", sent.sender], ["gas", units(BigInt(sent.gas))]);
  const events = sent.events.map(({ event, ...fields }) =>
    html("li", {}, `${event}: ${Object.entries(fields).map(([name, text]) => `${name} ${text}`).join(", ")}`),
  );
  return html(
    "details",
    {},
    html("summary", {}, `Block ${sent.block}: ${sent.told} (${sent.call})`),
    html("dl", {}, ...facts.flatMap(([name, text]) => [html("dt", {}, name), html("dd", {}, text)])),
    html("p", {}, events.length ? "Events" : "No events"),
    html("ul", { class: "events" }, ...events),
  );
}

async function verdict() {
  const checks = await checkRound(round, embedded);
  const wrong = checks.filter((check) => check.trouble);
  const line = place("verdict");
  line.className = wrong.length ? "wrong" : "right";
  line.textContent = wrong.length
    ? `✗ This page does not agree with itself: ${wrong[0].trouble}.`
    : `✓ Checked here, by this page: ${checks.length} of ${checks.length} agree with what was settled.`;
  place("check-list").replaceChildren(
    ...checks.map(({ what, trouble }) =>
      html("li", { class: trouble ? "wrong" : "right" }, trouble ? `✗ ${what}: ${trouble}` : `✓ ${what}`),
    ),
  );
  return checks;
}

function buttons() {
  const file = round.name.replace(/[^\p{L}\p{N}]+/gu, "-") || "round";
  const offer = (id, name, kind, text) =>
    place(id).addEventListener("click", () => save(`${file}-${name}`, kind, text()));
  offer("save-parties", "parties.csv", "text/csv", () => csv(partyRows(round)));
  offer("save-transfers", "transfers.csv", "text/csv", () => csv(transferRows(round)));
  offer("save-json", "round.json", "application/json", () => embedded);
  if (round.flows) offer("save-flows", "flows.csv", "text/csv", () => csv(flowRows(round)));
  else place("save-flows").hidden = true;
}

// Before anything is drawn: a figure that was changed may keep the drawings from being made.
const checks = verdict();
place("name").textContent = round.name;
place("story").append(...story());
happened();
gameTables();
chain();
buttons();
drawSettled();
drawGame();
const whatIf = round.flows ? new WhatIf(round, place) : null;
let resized = null;
globalThis.addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => {
    drawSettled();
    drawGame();
    whatIf?.show(whatIf.budgets, true);
  }, PAUSE_AFTER_RESIZE_MS);
});
/** For the console: the round, its checks, and what other budgets would lead to. */
globalThis.fairround = { round, whatIf, outcomeOf, checks };
