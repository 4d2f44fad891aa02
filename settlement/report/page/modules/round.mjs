/** The embedded round as numbers: amounts become BigInt, budgets without limit Infinity. */

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
