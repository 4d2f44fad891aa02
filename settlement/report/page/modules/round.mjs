/**
 * The embedded round as numbers, amounts as BigInt, and what was changed in its text by hand. The
 * text has a line for every entry of its short lists and objects; at its end stands the beginning
 * of each line's SHA-256.
 */

const DIGEST = 8;

/** From plain data, as Python wrote it, to what the other modules compute with. */
export function readRound(plain) {
  const n = plain.parties.length;
  const whole = (numbers) => numbers.map((number) => BigInt(number));
  return {
    ...plain,
    n,
    rate: BigInt(plain.rate),
    deposits: whole(plain.deposits),
    nets: whole(plain.nets),
    withdrawn: whole(plain.withdrawn),
    transfers: plain.transfers.map(([debtor, creditor, amount]) => ({
      debtor,
      creditor,
      amount: BigInt(amount),
    })),
    flows: plain.flows && Float64Array.from(plain.flows.flat()),
    posting: plain.posting && {
      flows: plain.posting.flows.map(whole),
      factors: whole(plain.posting.factors),
      unit: BigInt(plain.posting.unit),
    },
  };
}

/** Names of the entries that were changed, in their order; null if this browser has no SHA-256. */
export async function changedEntries(text) {
  if (!globalThis.crypto?.subtle) return null;
  const lines = text.split("\n").slice(1, -2);
  const data = JSON.parse(text);
  const expected = String(data.digests);
  if (expected.length !== DIGEST * lines.length) return ["number of lines of the embedded data"];
  const found = await Promise.all(lines.map(digestOf));
  const names = namesOf(lines, data);
  return names.filter((_, k) => found[k] !== expected.slice(DIGEST * k, DIGEST * (k + 1)));
}

async function digestOf(line) {
  const hash = await globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(line));
  const bytes = new Uint8Array(hash, 0, DIGEST / 2);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What each line holds, in words: "payoff errors of b", "reference, chain id". */
function namesOf(lines, data) {
  let key = null;
  let at = 0;
  return lines.map((line) => {
    const opened = /^"(\w+)":[[{]$/.exec(line);
    if (opened) [key, at] = [opened[1], 0];
    if (opened || !key) return inWords(/^"(\w+)"/.exec(line)?.[1] ?? "a line");
    const whole = inWords(key);
    if (/^[\]}],$/.test(line)) {
      key = null;
      return whole;
    }
    at += 1;
    if (!Array.isArray(data[key])) return `${whole}, ${inWords(/^"(\w+)"/.exec(line)?.[1] ?? "an entry")}`;
    const party = data[key].length === data.parties.length && key !== "parties";
    return party ? `${whole} of ${data.parties[at - 1]}` : `${whole}, number ${at}`;
  });
}

function inWords(key) {
  return key.replace(/[A-Z]/g, (sign) => ` ${sign.toLowerCase()}`);
}
