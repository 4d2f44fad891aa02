/**
 * Adjustment factors: the greatest share of its cost that each party can pay.
 *
 * Fictitious default: all start at their caps; whoever cannot pay out of budget and revenue is
 * marked, the marked ones pay all they have (a linear system), which may leave others unable to
 * pay; repeat. The linear systems are solved by an elimination that never subtracts.
 */

import { rowSums } from "./game.mjs";

const EPSILON = 2 ** -52;

/**
 * Greatest adjustment factors.
 *
 * flows: n * n numbers, none negative; budgets: n numbers, Infinity for no limit; caps: n numbers in
 * [0, 1]. Returns {factors, rounds, marked, duals, gap}: rounds lists the parties that each round
 * marked, gap is the duality gap over the total cost, which proves the factors if it is 0.
 */
export function clear(flows, budgets, caps) {
  const n = budgets.length;
  const costs = rowSums(flows, n);
  const threshold = 8 * EPSILON * Math.sqrt(n);
  const marked = new Array(n).fill(false);
  const rounds = [];
  let factors = Float64Array.from(caps);
  for (;;) {
    const short = newlyShort({ flows, costs, budgets, marked, factors, threshold });
    if (!short.length) break;
    for (const party of short) marked[party] = true;
    rounds.push(short);
    factors = solveMarked(flows, budgets, caps, marked);
  }
  for (let i = 0; i < n; i += 1) if (costs[i] === 0) factors[i] = caps[i];
  const duals = dualsOf(flows, costs, marked);
  const gap = gapOf({ flows, costs, budgets, caps, factors, duals });
  return { factors, rounds, marked, duals, gap };
}

function revenuesOf(flows, factors) {
  const n = factors.length;
  const revenues = new Float64Array(n);
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < n; j += 1) revenues[j] += factors[i] * flows[i * n + j];
  }
  return revenues;
}

/** What each party lacks to pay its cost, as a share of all that it pays and receives. */
function deficitsOf({ flows, costs, budgets }, factors) {
  const revenues = revenuesOf(flows, factors);
  return Float64Array.from(factors, (factor, i) => {
    const due = costs[i] * factor;
    const turnover = due + revenues[i];
    return turnover > 0 ? (due - revenues[i] - budgets[i]) / turnover : 0;
  });
}

/** Who cannot pay and was not marked before, those included whom the others leave unable to pay. */
function newlyShort(state) {
  const { flows, costs, budgets, marked, threshold } = state;
  const n = marked.length;
  const deficits = deficitsOf(state, state.factors);
  const short = new Array(n).fill(false);
  let further = indices(n).filter((i) => deficits[i] > threshold && !marked[i]);
  const factors = Float64Array.from(state.factors);
  while (further.length) {
    for (const i of further) short[i] = true;
    const revenues = revenuesOf(flows, factors);
    for (let i = 0; i < n; i += 1) {
      if (!marked[i] && !short[i]) continue;
      factors[i] = Math.min(factors[i], (budgets[i] + revenues[i]) / costs[i]);
    }
    const now = deficitsOf(state, factors);
    further = indices(n).filter((i) => now[i] > threshold && !marked[i] && !short[i]);
    for (const i of further) deficits[i] = now[i];
  }
  return spareWaysOut(flows, marked, short, deficits);
}

/**
 * Take back marks that only rounding can have made: parties that owe nothing outside of their set
 * cannot all be short, so the least short one of such a set is not.
 */
export function spareWaysOut(flows, marked, short, deficits) {
  const n = marked.length;
  for (;;) {
    const reaches = indices(n).map((i) => !(marked[i] || short[i]));
    for (let changed = true; changed; ) {
      changed = false;
      for (let i = 0; i < n; i += 1) {
        if (reaches[i]) continue;
        for (let j = 0; j < n && !reaches[i]; j += 1) {
          if (reaches[j] && flows[i * n + j] > 0) reaches[i] = changed = true;
        }
      }
    }
    const doubtful = indices(n).filter((i) => short[i] && !reaches[i]);
    if (!doubtful.length) return indices(n).filter((i) => short[i]);
    short[doubtful.reduce((least, i) => (deficits[i] < deficits[least] ? i : least))] = false;
  }
}

/** The marked parties' numbers, and the system among them: flows, and what each owes outside. */
function systemOf(flows, marked) {
  const n = marked.length;
  const who = indices(n).filter((i) => marked[i]);
  const m = who.length;
  const inner = new Float64Array(m * m);
  const leaks = new Float64Array(m);
  who.forEach((i, a) => {
    who.forEach((j, b) => {
      if (a !== b) inner[a * m + b] = flows[i * n + j];
    });
    for (let j = 0; j < n; j += 1) if (!marked[j]) leaks[a] += flows[i * n + j];
  });
  return { who, inner, leaks };
}

/** Factors if the marked parties pay all they have and the others stay at their caps. */
function solveMarked(flows, budgets, caps, marked) {
  const factors = Float64Array.from(caps, (cap, i) => (marked[i] ? 0 : cap));
  const revenues = revenuesOf(flows, factors);
  const { who, inner, leaks } = systemOf(flows, marked);
  const incomes = Float64Array.from(who, (i) => budgets[i] + revenues[i]);
  const solved = eliminate(inner, leaks, incomes, new Float64Array(who.length)).factors;
  who.forEach((i, a) => {
    factors[i] = Math.min(solved[a], caps[i]);
  });
  return factors;
}

function dualsOf(flows, costs, marked) {
  const duals = new Float64Array(marked.length);
  const { who, inner, leaks } = systemOf(flows, marked);
  const charges = Float64Array.from(who, (i) => costs[i]);
  const solved = eliminate(inner, leaks, new Float64Array(who.length), charges).duals;
  who.forEach((i, a) => {
    duals[i] = solved[a];
  });
  return duals;
}

/** Duality gap of factors, over the total cost: an upper bound on what could still be paid more. */
export function gapOf({ flows, costs, budgets, caps, factors, duals }) {
  const n = factors.length;
  let upper = 0;
  let total = 0;
  let reached = 0;
  for (let i = 0; i < n; i += 1) {
    let reduced = costs[i] * (1 - duals[i]);
    for (let j = 0; j < n; j += 1) reduced += flows[i * n + j] * duals[j];
    upper += caps[i] * Math.max(reduced, 0);
    if (Number.isFinite(budgets[i])) upper += budgets[i] * duals[i];
    total += costs[i];
    reached += costs[i] * factors[i];
  }
  return total > 0 ? (upper - reached) / total : upper - reached;
}

/**
 * Factors and dual values of marked parties by elimination without subtraction.
 *
 * Solves A_i x_i - sum_k x_k F_ki = income_i and A_i y_i - sum_j F_ij y_j = charge_i, where A_i is
 * what i owes to all, leaks[i] of it outside. Taking a party out passes its income, leak and charge
 * on along its flows, in positive shares, so every number keeps its relative accuracy.
 */
export function eliminate(inner, leaks, incomes, charges) {
  const m = leaks.length;
  const work = Float64Array.from(inner);
  const leak = Float64Array.from(leaks);
  const income = Float64Array.from(incomes);
  const charge = Float64Array.from(charges);
  const costs = new Float64Array(m);
  for (let last = m - 1; last >= 0; last -= 1) {
    let cost = leak[last];
    for (let j = 0; j < last; j += 1) cost += work[last * m + j];
    costs[last] = cost;
    for (let i = 0; i < last; i += 1) {
      const paid = work[i * m + last] / cost;
      if (paid !== 0) {
        for (let j = 0; j < last; j += 1) {
          if (j !== i) work[i * m + j] += paid * work[last * m + j];
        }
        leak[i] += paid * leak[last];
        charge[i] += paid * charge[last];
      }
      income[i] += work[last * m + i] * (income[last] / cost);
    }
  }
  const factors = new Float64Array(m);
  const duals = new Float64Array(m);
  for (let i = 0; i < m; i += 1) {
    let received = income[i];
    let owed = charge[i];
    for (let j = 0; j < i; j += 1) {
      received += factors[j] * work[j * m + i];
      owed += work[i * m + j] * duals[j];
    }
    factors[i] = received / costs[i];
    duals[i] = owed / costs[i];
  }
  return { factors, duals };
}

/**
 * What one more unit of a party's budget changes: {factors, payoffs} of all parties, per unit.
 *
 * All zero for a party that can pay everything already.
 */
export function shadowPrices(flows, solution, party) {
  const { marked } = solution;
  const n = marked.length;
  const factors = new Float64Array(n);
  if (marked[party]) {
    const { who, inner, leaks } = systemOf(flows, marked);
    const incomes = Float64Array.from(who, (i) => (i === party ? 1 : 0));
    const solved = eliminate(inner, leaks, incomes, new Float64Array(who.length)).factors;
    who.forEach((i, a) => {
      factors[i] = solved[a];
    });
  }
  const payoffs = new Float64Array(n);
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < n; j += 1) {
      payoffs[i] -= factors[i] * flows[i * n + j];
      payoffs[j] += factors[i] * flows[i * n + j];
    }
  }
  return { factors, payoffs };
}

/** Bounds of the factors from the best model that each party wants; null: no bound. */
export function capsOf(flows, ownValues, wanted) {
  const costs = rowSums(flows, ownValues.length);
  return ownValues.map((own, i) => {
    if (!wanted || wanted[i] === null || costs[i] === 0) return 1;
    return Math.min(1, Math.max(0, (wanted[i] - own) / costs[i]));
  });
}

function indices(n) {
  return Array.from({ length: n }, (_, i) => i);
}
