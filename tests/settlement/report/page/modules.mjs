// Runs functions of the page's modules on cases from standard input; prints what they give.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const load = (name) => import(new URL(`${name}.mjs`, folder));
const [clearing, game, money, checks, round, exports_] = await Promise.all(
  ["clearing", "game", "money", "checks", "round", "exports"].map(load),
);
const whole = (numbers) => numbers.map(BigInt);
const texts = (numbers) => numbers.map(String);
const limit = (number) => (number === null ? Infinity : number);
const plain = (transfers) => transfers.map((t) => [t.debtor, t.creditor, String(t.amount)]);

const functions = {
  clear({ flows, budgets, caps }) {
    const flat = Float64Array.from(flows.flat());
    const solution = clearing.clear(flat, budgets.map(limit), caps);
    const { factors, gap, marked } = solution;
    const prices = marked.map((_, i) => [...clearing.shadowPrices(flat, solution, i).payoffs]);
    return { factors: [...factors], gap, marked, prices, payoffs: [...game.payoffsOf(flat, factors)] };
  },
  spare({ flows, marked, short, deficits }) {
    return clearing.spareWaysOut(Float64Array.from(flows.flat()), marked, short, deficits);
  },
  flows: ({ values }) => [...game.flowsOf(values)],
  broken: ({ values }) => game.brokenEdges(values),
  nets({ payoffs, deposits, rate }) {
    const nets = money.netPositions(payoffs, whole(deposits), BigInt(rate));
    return { nets: texts(nets), transfers: plain(money.netTransfers(nets)) };
  },
  posted({ posting, rate }) {
    const read = { flows: posting.flows.map(whole), factors: whole(posting.factors) };
    return texts(money.netsOfPosting({ ...read, unit: BigInt(posting.unit) }, BigInt(rate)));
  },
  same({ posting, rate, nets }) {
    const read = { flows: posting.flows.map(whole), factors: whole(posting.factors) };
    return money.sameMoney(whole(nets), { ...read, unit: BigInt(posting.unit) }, BigInt(rate));
  },
  plan({ reference, transfers }) {
    const read = ([debtor, creditor, amount]) => ({ debtor, creditor, amount: BigInt(amount) });
    return money.planId(reference, transfers.map(read));
  },
  async check({ text }) {
    const found = await checks.checkRound(round.readRound(JSON.parse(text)), text);
    return found.map(({ what, trouble }) => ({ what, trouble }));
  },
  csv: ({ rows }) => exports_.csv(rows),
};
const { name, cases } = JSON.parse(readFileSync(0, "utf-8"));
const found = [];
for (const one of cases) found.push(await functions[name](one));
console.log(JSON.stringify(found));
