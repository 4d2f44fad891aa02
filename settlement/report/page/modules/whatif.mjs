/** Budgets that are moved: what follows from them at once, and what takes a moment to draw. */

import { drawBars } from "./bars.mjs";
import { capsOf, clear, shadowPrices } from "./clearing.mjs";
import { decimal, html, named, signed, units } from "./dom.mjs";
import { payoffsOf, rowSums } from "./game.mjs";
import { netPositions, netTransfers } from "./money.mjs";
import { drawTransfers } from "./sankey.mjs";
import { drawMap, drawSweep, mapOf, sweepOf } from "./sweeps.mjs";

const STEPS = 1000;
const PAUSE_MS = 120;

/** Everything that follows from budgets in base units. */
export function outcomeOf(round, budgetsUnits) {
  const budgets = budgetsUnits.map((amount) => Number(amount) / Number(round.rate));
  const caps = capsOf(round.flows, round.ownValues, round.wanted);
  const solution = clear(round.flows, budgets, caps);
  const costs = rowSums(round.flows, round.n);
  const payoffs = payoffsOf(round.flows, solution.factors);
  const modelValues = round.ownValues.map((own, i) => own + solution.factors[i] * costs[i]);
  const nets = netPositions(payoffs, budgetsUnits, round.rate);
  return { budgets, caps, solution, payoffs, modelValues, nets, transfers: netTransfers(nets) };
}

/** The part of the page in which budgets are moved. */
export class WhatIf {
  constructor(round, place) {
    this.round = round;
    this.place = place;
    this.settled = [...round.deposits];
    const rate = Number(round.rate);
    this.most = Array.from(rowSums(round.flows, round.n), (cost, i) => {
      const whole = BigInt(Math.ceil(cost * rate));
      return whole > round.deposits[i] ? whole : round.deposits[i] || 1n;
    });
    this.rows = round.parties.map((name, i) => this.control(name, i));
    place("controls").append(...this.rows.map((row) => row.element));
    this.pickers();
    this.reset = place("reset");
    this.reset.addEventListener("click", () => this.show(this.settled, true));
    this.sweep = 0;
    this.map = [0, Math.min(1, round.n - 1), 0];
    this.readAddress();
    globalThis.addEventListener("hashchange", () => this.readAddress());
  }

  control(name, i) {
    const slider = html("input", {
      type: "range",
      min: 0,
      max: STEPS,
      step: 1,
      "aria-label": `Budget of ${name}`,
      input: () => this.move(i, (this.most[i] * BigInt(slider.value)) / BigInt(STEPS)),
    });
    const field = html("input", {
      type: "text",
      inputmode: "numeric",
      "aria-label": `Budget of ${name} in base units`,
      change: () => {
        const digits = field.value.replace(/[\s,._']/g, "");
        const whole = /^\d{1,19}$/.test(digits) && BigInt(digits) < 2n ** 63n;
        field.setAttribute("aria-invalid", String(!whole));
        if (whole) this.move(i, BigInt(digits));
      },
    });
    const figures = html("span", { class: "figures" });
    const label = html("span", { class: "who" }, named(name));
    const element = html("div", { class: "control" }, label, slider, field, figures);
    return { element, slider, field, figures };
  }

  pickers() {
    const options = () =>
      this.round.parties.map((name, i) => html("option", { value: i }, name));
    const pick = (id, apply) => {
      const select = this.place(id);
      select.append(...options());
      select.addEventListener("change", () => {
        apply(Number(select.value));
        this.later();
      });
    };
    pick("sweep-party", (party) => (this.sweep = party));
    ["map-across", "map-up", "map-shown"].forEach((id, k) => pick(id, (party) => (this.map[k] = party)));
  }

  /** The state that the address names, or that of the settlement. */
  readAddress() {
    const { n } = this.round;
    const stated = new URLSearchParams(globalThis.location.hash.slice(1));
    const budgets = (stated.get("budgets") ?? "").split(",");
    const fits = budgets.length === n && budgets.every((text) => /^\d{1,19}$/.test(text));
    const party = (text, otherwise) =>
      /^\d+$/.test(text ?? "") && Number(text) < n ? Number(text) : otherwise;
    this.sweep = party(stated.get("sweep"), this.sweep);
    const map = (stated.get("map") ?? "").split("-");
    this.map = this.map.map((otherwise, k) => party(map[k], otherwise));
    this.show(fits ? budgets.map((text) => BigInt(text)) : this.settled, true);
  }

  writeAddress() {
    const stated = new URLSearchParams();
    if (this.isMoved()) stated.set("budgets", this.budgets.join(","));
    if (this.sweep) stated.set("sweep", this.sweep);
    if (this.map.join("-") !== `0-${Math.min(1, this.round.n - 1)}-0`) stated.set("map", this.map.join("-"));
    const text = decodeURIComponent(stated.toString());
    const address = globalThis.location.href.split("#")[0] + (text ? `#${text}` : "");
    if (address !== globalThis.location.href) globalThis.history.replaceState(null, "", address);
  }

  isMoved() {
    return this.budgets.some((amount, i) => amount !== this.settled[i]);
  }

  move(party, amount) {
    this.show(this.budgets.map((old, i) => (i === party ? amount : old)));
  }

  /** Show these budgets: figures at the next frame, slow drawings when the hand rests. */
  show(budgetsUnits, at_once = false) {
    this.budgets = [...budgetsUnits];
    if (at_once) this.draw();
    else this.frame ??= requestAnimationFrame(() => this.draw());
    this.later();
  }

  draw() {
    this.frame = null;
    this.outcome = outcomeOf(this.round, this.budgets);
    const { solution, payoffs, modelValues, nets, transfers } = this.outcome;
    this.rows.forEach(({ slider, field, figures }, i) => {
      const at = Number((this.budgets[i] * BigInt(STEPS)) / this.most[i]);
      // Not the slider that is being moved: it would jump to the nearest step.
      if (Number(slider.value) !== at) slider.value = Math.min(STEPS, at);
      slider.setAttribute("aria-valuetext", `${units(this.budgets[i])} base units`);
      if (document.activeElement !== field) field.value = units(this.budgets[i]);
      figures.textContent =
        `λ ${decimal(solution.factors[i])} · payoff ${signed(payoffs[i])} · ` +
        `model ${decimal(modelValues[i])} · net ${units(nets[i], true)}`;
    });
    const width = this.place("live-bars").clientWidth || 320;
    const settled = this.isMoved() ? this.round.modelValues : null;
    const drawn = { modelValues, nets, errors: null, settled };
    this.place("live-bars").replaceChildren(drawBars(this.round, drawn, width));
    const streams = drawTransfers(this.round, transfers, this.place("live-transfers").clientWidth || 320);
    this.place("live-transfers").replaceChildren(streams ?? "Nobody pays.");
    this.reset.disabled = !this.isMoved();
    this.place("moved").textContent = this.isMoved()
      ? "Budgets differ from the deposits of the settled round; thin lines mark what was settled."
      : "As settled.";
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.drawSlowly(), PAUSE_MS);
  }

  drawSlowly() {
    const { round, outcome } = this;
    this.place("consequences").replaceChildren(...consequences(round, outcome));
    this.place("prices").replaceChildren(...prices(round, outcome));
    const { budgets, caps } = outcome;
    const width = this.place("sweep").clientWidth || 320;
    const rows = sweepOf(round, budgets, caps, this.sweep, round.n > 16 ? 31 : 81);
    this.place("sweep").replaceChildren(drawSweep(round, rows, this.sweep, budgets[this.sweep], width));
    const [across, up, shown] = this.map;
    const points = round.n > 16 ? 11 : 25;
    const squares = mapOf(round, budgets, caps, [across, up], shown, points);
    const mapWidth = this.place("map").clientWidth || 320;
    this.place("map").replaceChildren(drawMap(round, squares, [across, up], shown, mapWidth));
    this.place("sweep-party").value = this.sweep;
    ["map-across", "map-up", "map-shown"].forEach((id, k) => (this.place(id).value = this.map[k]));
    this.writeAddress();
  }
}

/** Who cannot pay, in the order in which that shows, and who receives less because of it. */
function consequences(round, { solution }) {
  if (!solution.rounds.length) return [html("p", {}, "Everybody can pay in full.")];
  const items = solution.rounds.map((parties, k) => {
    const who = parties.flatMap((i, at) => [at ? ", " : "", named(round.parties[i])]);
    const start = k ? "Because of them, these cannot pay in full either: " : "Cannot pay in full: ";
    return html("li", {}, start, ...who);
  });
  const lost = new Float64Array(round.n);
  for (let i = 0; i < round.n; i += 1) {
    if (!solution.marked[i]) continue;
    for (let j = 0; j < round.n; j += 1) {
      lost[j] += (1 - solution.factors[i]) * round.flows[i * round.n + j];
    }
  }
  const hurt = Array.from(lost, (amount, i) => ({ amount, i }))
    .filter(({ amount }) => amount > 1e-12)
    .sort((a, b) => b.amount - a.amount);
  const shown = hurt.slice(0, 8).flatMap(({ amount, i }, at) => [
    at ? ", " : "",
    named(round.parties[i]),
    ` ${decimal(amount)}`,
  ]);
  const more = hurt.length > 8 ? ` and ${hurt.length - 8} more` : "";
  const told = html("p", {}, "Received less for their data: ", ...shown, more, " (value units).");
  return [html("ol", {}, ...items), hurt.length ? told : null].filter(Boolean);
}

/** What one more unit of each short party's budget gives to whom. */
function prices(round, { solution }) {
  const items = round.parties.flatMap((name, i) => {
    const { payoffs } = shadowPrices(round.flows, solution, i);
    const gains = Array.from(payoffs, (gain, j) => ({ gain, j }))
      .filter(({ gain, j }) => j !== i && Math.abs(gain) > 1e-9)
      .sort((a, b) => b.gain - a.gain)
      .slice(0, 6);
    if (!gains.length) return [];
    const told = gains.flatMap(({ gain, j }, at) => [
      at ? ", " : "",
      named(round.parties[j]),
      ` ${signed(gain, 3)}`,
    ]);
    return [html("li", {}, named(name), ": ", ...told)];
  });
  if (!items.length) return [html("p", {}, "No budget binds: more of it changes nothing.")];
  return [html("ul", {}, ...items)];
}
