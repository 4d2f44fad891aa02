/**
 * The page checks the round that it shows: everything that can be recomputed from what is embedded
 * is recomputed, and the first figure that differs is named.
 */

import { capsOf, clear } from "./clearing.mjs";
import { flowsOf, payoffsOf, rowSums } from "./game.mjs";
import { netPositions, netsOfPosting, netsOfTransfers, planId, sameMoney } from "./money.mjs";
import { changedEntries } from "./round.mjs";

/** How far a recomputed float may be from a stored one, in value units. */
const TOLERANCE = 1e-9;

/**
 * All checks of a round, in order: {what, trouble}; trouble is null where all agrees. `embedded` is
 * the text that the round was read from.
 */
export async function checkRound(round, embedded) {
  const checks = [];
  const add = (what, find) => checks.push({ what, trouble: guarded(find) });
  if (round.flows && round.values) {
    add("value table: own values and the grand value", () => valueTrouble(round));
    add("payoff flows, from the value table", () => flowTrouble(round));
  }
  if (round.flows) {
    add("adjustment factors lambda are the greatest possible", () => factorTrouble(round));
    add("payoffs and model values, from flows and lambda", () => payoffTrouble(round));
  }
  add("net positions in whole base units", () => netTrouble(round));
  add("transfers bring about the net positions, nobody pays beyond its deposit", () =>
    transferTrouble(round),
  );
  add("withdrawals are deposit plus net position", () => withdrawalTrouble(round));
  if (round.rewards.length) {
    add("scores of the model rewards meet the model values", () => rewardTrouble(round));
  }
  checks.push(await planCheck(round), await writingCheck(embedded));
  return checks;
}

function guarded(find) {
  try {
    return find();
  } catch (error) {
    return `the figures cannot be read: ${error.message}`;
  }
}

function figure(number) {
  return Number.isFinite(number) ? Number(number.toPrecision(10)).toString() : String(number);
}

function differs(what, shown, expected) {
  if (Math.abs(shown - expected) <= TOLERANCE) return null;
  return `${what} is ${figure(shown)}; recomputed it is ${figure(expected)}`;
}

/** The first of the parties' figures that differs. */
function firstDifference(round, what, shown, expected) {
  for (let i = 0; i < round.parties.length; i += 1) {
    const trouble = differs(`${what} of ${round.parties[i]}`, shown[i], expected[i]);
    if (trouble) return trouble;
  }
  return null;
}

function valueTrouble(round) {
  const own = round.parties.map((_, i) => round.values[1 << i]);
  return (
    firstDifference(round, "own value", round.ownValues, own) ??
    differs("value of the grand coalition", round.grandValue, round.values[round.values.length - 1])
  );
}

function flowTrouble(round) {
  const n = round.parties.length;
  const expected = flowsOf(round.values);
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < n; j += 1) {
      const what = `flow from ${round.parties[i]} to ${round.parties[j]}`;
      const trouble = differs(what, round.flows[i * n + j], expected[i * n + j]);
      if (trouble) return trouble;
    }
  }
  return null;
}

function factorTrouble(round) {
  const caps = capsOf(round.flows, round.ownValues, round.wanted);
  const solution = clear(round.flows, round.budgets, caps);
  if (Math.abs(solution.gap) > TOLERANCE) {
    return `the certificate leaves a gap of ${figure(solution.gap)}; expected 0`;
  }
  const costs = rowSums(round.flows, round.parties.length);
  for (let i = 0; i < costs.length; i += 1) {
    // A share of nothing is no figure that could be wrong.
    if (costs[i] === 0) continue;
    const what = `lambda of ${round.parties[i]}`;
    const trouble = differs(what, round.factors[i], solution.factors[i]);
    if (trouble) return trouble;
  }
  const budgets = round.deposits.map((units) => Number(units) / Number(round.rate));
  return firstDifference(round, "budget", round.budgets, budgets);
}

function payoffTrouble(round) {
  const costs = rowSums(round.flows, round.parties.length);
  const models = round.ownValues.map((own, i) => own + round.factors[i] * costs[i]);
  return (
    firstDifference(round, "payoff", round.payoffs, payoffsOf(round.flows, round.factors)) ??
    firstDifference(round, "model value", round.modelValues, models)
  );
}

function firstUnequal(round, what, shown, expected) {
  for (let i = 0; i < round.parties.length; i += 1) {
    if (shown[i] !== expected[i]) {
      return `${what} of ${round.parties[i]} is ${shown[i]}; recomputed it is ${expected[i]}`;
    }
  }
  return null;
}

function netTrouble(round) {
  if (round.posting && sameMoney(round.nets, round.posting, round.rate)) return null;
  const expected = round.posting
    ? netsOfPosting(round.posting, round.rate)
    : netPositions(round.payoffs, round.deposits, round.rate);
  return firstUnequal(round, "net position", round.nets, expected);
}

function transferTrouble(round) {
  const nets = netsOfTransfers(round.transfers, round.parties.length);
  const over = nets.findIndex((net, i) => net < -round.deposits[i]);
  if (over >= 0) return `${round.parties[over]} pays ${-nets[over]} of ${round.deposits[over]}`;
  return firstUnequal(round, "net position by the transfers", nets, round.nets);
}

function withdrawalTrouble(round) {
  const due = round.nets.map((net, i) => round.deposits[i] + net);
  const shown = round.withdrawn.map((units, i) => (units === 0n ? due[i] : units));
  return firstUnequal(round, "withdrawal", shown, due);
}

function rewardTrouble(round) {
  for (const reward of round.rewards) {
    // Nobody gets less than its own model, or than an untrained one.
    const target = Math.max(round.modelValues[reward.party], reward.floor);
    if (Math.abs(reward.validationScore - target) > 1 / round.nValidation + TOLERANCE) {
      const name = round.parties[reward.party];
      return `score of the model of ${name} is ${figure(reward.validationScore)}; its value is ${figure(target)}`;
    }
  }
  return null;
}

async function planCheck(round) {
  const what = "hash of the plan, by SHA-256";
  if (!globalThis.crypto?.subtle) {
    return { what: `${what}: not checked, this browser offers no SHA-256 to files`, trouble: null };
  }
  try {
    const expected = await planId(round.reference, round.transfers);
    const same = expected === round.planId;
    return { what, trouble: same ? null : `plan is ${round.planId}; recomputed it is ${expected}` };
  } catch (error) {
    return { what, trouble: `the figures cannot be read: ${error.message}` };
  }
}

async function writingCheck(embedded) {
  const what = "every embedded figure is as it was written";
  const changed = await changedEntries(embedded);
  if (!changed) return { what: `${what}: not checked, this browser offers no SHA-256 to files`, trouble: null };
  const more = changed.length > 3 ? ` and ${changed.length - 3} more` : "";
  const trouble = `changed since the page was written: ${changed.slice(0, 3).join("; ")}${more}`;
  return { what, trouble: changed.length ? trouble : null };
}
