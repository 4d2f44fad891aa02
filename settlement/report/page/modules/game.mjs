/**
 * The game in plain JavaScript: flows of a value table, payoffs, what is not monotone.
 *
 * A coalition is a bitmask, bit i is party i. A matrix of n parties is one array of n * n numbers;
 * flows[payer * n + payee]. Equations are those of the paper that the README names.
 */

/** Payoff flows of a value table of 2**n values: conditional Shapley values, eq. (5). */
export function flowsOf(values) {
  const n = Math.round(Math.log2(values.length));
  const grand = values[values.length - 1];
  const weights = weightsBySize(n);
  const pairs = new Float64Array(n * n);
  // A constant on all values moves no flow, and v(N) near the values costs no digits.
  for (let coalition = 1; coalition < values.length; coalition += 1) {
    const members = [];
    for (let i = 0; i < n; i += 1) if ((coalition >> i) & 1) members.push(i);
    const weighted = weights[members.length] * (values[coalition] - grand);
    if (weighted === 0) continue;
    for (const i of members) for (const j of members) pairs[i * n + j] += weighted;
  }
  const flows = new Float64Array(n * n);
  let largest = 0;
  for (let i = 0; i < n; i += 1) {
    let others = 0;
    for (let k = 0; k < n; k += 1) if (k !== i) others += pairs[i * n + k];
    const cost = grand - values[1 << i];
    for (let j = 0; j < n; j += 1) {
      if (j === i) continue;
      flows[i * n + j] = pairs[i * n + j] - others / (n - 1) + cost / (n - 1);
      largest = Math.max(largest, Math.abs(flows[i * n + j]));
    }
  }
  // A flow that is below zero by rounding alone is zero.
  return flows.map((flow) => (flow < 0 && flow > -1e-13 * largest ? 0 : flow));
}

/** Weight of a coalition of each size in the sums over coalitions that hold two parties. */
function weightsBySize(n) {
  const weights = new Float64Array(n + 1);
  let binomial = 1; // (n - 2) over (size - 2)
  for (let size = 2; size < n; size += 1) {
    weights[size] = 1 / ((n - size) * binomial);
    binomial = (binomial * (n - size)) / (size - 1);
  }
  return weights;
}

/** Sum of each row: what each party pays with a factor of 1. */
export function rowSums(flows, n) {
  const sums = new Float64Array(n);
  for (let i = 0; i < n; i += 1) for (let j = 0; j < n; j += 1) sums[i] += flows[i * n + j];
  return sums;
}

/** Revenue minus cost of each party if payer i pays the share factors[i], eq. (11) and (7). */
export function payoffsOf(flows, factors) {
  const n = factors.length;
  const payoffs = new Float64Array(n);
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < n; j += 1) {
      const paid = factors[i] * flows[i * n + j];
      payoffs[i] -= paid;
      payoffs[j] += paid;
    }
  }
  return payoffs;
}

/** Number of members of a coalition. */
export function sizeOf(coalition) {
  let size = 0;
  for (let rest = coalition; rest; rest &= rest - 1) size += 1;
  return size;
}

/** Where a party lowers a coalition's value: {coalition, party, drop}, the largest drop first. */
export function brokenEdges(values) {
  const n = Math.round(Math.log2(values.length));
  const broken = [];
  for (let coalition = 0; coalition < values.length; coalition += 1) {
    for (let party = 0; party < n; party += 1) {
      if ((coalition >> party) & 1) continue;
      const drop = values[coalition] - values[coalition | (1 << party)];
      if (drop > 0) broken.push({ coalition, party, drop });
    }
  }
  return broken.sort((a, b) => b.drop - a.drop);
}
