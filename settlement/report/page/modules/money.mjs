/**
 * Whole base units: net positions, transfers and the hash of a plan, exactly as the settlement has
 * them. Every amount is a BigInt; a float enters `netPositions` only, with all its binary digits.
 */

/** Every float is a whole multiple of 2**-1074. */
const FINEST = 1074n;

/** A float as a whole number of 2**-1074. */
function wholeOf(number) {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, number);
  const bits = view.getBigUint64(0);
  const exponent = (bits >> 52n) & 0x7ffn;
  const fraction = bits & 0xfffffffffffffn;
  const whole = exponent ? (fraction | (1n << 52n)) << (exponent - 1n) : fraction;
  return bits >> 63n ? -whole : whole;
}

function least(a, b) {
  return a < b ? a : b;
}

function total(amounts) {
  return amounts.reduce((sum, amount) => sum + amount, 0n);
}

/** Party numbers in the order of a comparison of their amounts; of equal ones the lower first. */
function ranked(amounts) {
  return amounts
    .map((_, party) => party)
    .sort((a, b) => (amounts[a] === amounts[b] ? a - b : amounts[a] > amounts[b] ? -1 : 1));
}

/** Rounded down to multiples of the unit, then one unit more for the largest remainders. */
function largestRemainders(amounts, floorOf, unit) {
  const nets = amounts.map(floorOf);
  const remainders = amounts.map((amount, party) => amount - nets[party] * unit);
  const missing = Number(-total(nets));
  for (const party of ranked(remainders).slice(0, missing)) nets[party] += 1n;
  return nets;
}

/**
 * Payoffs in value units as whole base units that sum to zero; nobody pays more than its deposit.
 *
 * Every payoff is scaled exactly and rounded down; the units that are then missing go one each to
 * the largest remainders, the lower party first.
 */
export function netPositions(payoffs, deposits, rate) {
  const unit = 1n << FINEST;
  const scaled = Array.from(payoffs, (payoff) => wholeOf(payoff) * rate);
  const amounts = scaled.map((amount, i) => (amount < -deposits[i] * unit ? -deposits[i] * unit : amount));
  let surplus = total(amounts);
  for (const party of ranked(amounts)) {
    const taken = least(surplus, amounts[party] + deposits[party] * unit);
    amounts[party] -= taken;
    surplus -= taken;
  }
  return largestRemainders(amounts, (amount) => amount >> FINEST, unit);
}

/** Net positions that follow from posted whole numbers: flows, factors, and their common unit. */
export function netsOfPosting({ flows, factors, unit }, rate) {
  const floor = (amount) => (amount - (((amount % unit) + unit) % unit)) / unit;
  return largestRemainders(exactPositions(flows, factors, rate), floor, unit);
}

/**
 * Whether the contract may have taken these net positions instead. Others may have settled with
 * other factors: exact positions then differ by less than a thousandth of a unit, and where two
 * remainders are that close either party may get the unit.
 */
export function sameMoney(nets, { flows, factors, unit }, rate) {
  const exact = exactPositions(flows, factors, rate);
  const moved = nets.map((net, i) => net * unit - exact[i]);
  const [low, high] = [ranked(moved).at(-1), ranked(moved)[0]];
  return total(nets) === 0n && moved[high] - moved[low] <= unit + unit / 1024n;
}

function exactPositions(flows, factors, rate) {
  return factors.map((factor, i) =>
    rate * factors.reduce((sum, other, k) => sum + flows[k][i] * other - flows[i][k] * factor, 0n),
  );
}

/**
 * Transfers that settle all net positions: pairs of the same amount first, then the largest debtor
 * pays the largest creditor. Of equal amounts the lower party goes first.
 */
export function netTransfers(nets) {
  const debtors = new Map();
  const creditors = new Map();
  nets.forEach((amount, party) => {
    if (amount < 0n) debtors.set(party, -amount);
    if (amount > 0n) creditors.set(party, amount);
  });
  const transfers = [];
  const add = (debtor, creditor, amount) => transfers.push({ debtor, creditor, amount });
  for (const [creditor, amount] of [...creditors].sort((a, b) => a[0] - b[0])) {
    const debtor = exactly(debtors, amount);
    if (debtor === null) continue;
    debtors.delete(debtor);
    creditors.delete(creditor);
    add(debtor, creditor, amount);
  }
  while (debtors.size && creditors.size) {
    const [debtor, owed] = largest(debtors);
    const [creditor, due] = largest(creditors);
    debtors.delete(debtor);
    creditors.delete(creditor);
    const amount = least(owed, due);
    add(debtor, creditor, amount);
    if (owed > amount) {
      const partner = exactly(creditors, owed - amount);
      if (partner === null) debtors.set(debtor, owed - amount);
      else {
        creditors.delete(partner);
        add(debtor, partner, owed - amount);
      }
    } else if (due > amount) {
      const partner = exactly(debtors, due - amount);
      if (partner === null) creditors.set(creditor, due - amount);
      else {
        debtors.delete(partner);
        add(partner, creditor, due - amount);
      }
    }
  }
  return transfers;
}

/** The lowest party with exactly this amount, or null. */
function exactly(side, amount) {
  let found = null;
  for (const [party, open] of side) {
    if (open === amount && (found === null || party < found)) found = party;
  }
  return found;
}

/** The party with the largest amount; of equal ones the lowest. */
function largest(side) {
  let best = null;
  for (const entry of side) {
    if (!best || entry[1] > best[1] || (entry[1] === best[1] && entry[0] < best[0])) best = entry;
  }
  return best;
}

/** Net positions that transfers bring about. */
export function netsOfTransfers(transfers, n) {
  const nets = new Array(n).fill(0n);
  for (const { debtor, creditor, amount } of transfers) {
    nets[debtor] -= amount;
    nets[creditor] += amount;
  }
  return nets;
}

const WHOLE_TRANSFERS = 1024;
const CHUNK_TRANSFERS = 256;

/** The hash of a plan, hexadecimal, by the browser's own SHA-256: it names round and transfers. */
export async function planId(reference, transfers) {
  const key = await sha256([
    bigEndian(BigInt(reference.chainId), 32),
    new Uint8Array(12),
    fromHex(reference.escrow.slice(2)),
    bigEndian(BigInt(reference.roundId), 32),
  ]);
  const packed = transfers.map(({ debtor, creditor, amount }) => [
    bigEndian(BigInt(debtor), 2),
    bigEndian(BigInt(creditor), 2),
    bigEndian(amount, 8),
  ]);
  const whole = Math.max(transfers.length, reference.nParties) <= WHOLE_TRANSFERS;
  const size = whole ? Math.max(1, packed.length) : CHUNK_TRANSFERS;
  const chunks = [];
  for (let at = 0; at < Math.max(1, packed.length); at += size) {
    chunks.push(packed.slice(at, at + size).flat());
  }
  let following = new Uint8Array(0);
  for (const chunk of chunks.reverse()) following = await sha256([key, ...chunk, following]);
  return toHex(following);
}

async function sha256(parts) {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", joined));
}

function bigEndian(number, length) {
  const bytes = new Uint8Array(length);
  let rest = number;
  for (let at = length - 1; at >= 0; at -= 1) {
    bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
