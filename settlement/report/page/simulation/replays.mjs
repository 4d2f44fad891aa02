/** Rounds by their keys, each a link to the command that plays it again. */

import { html, table, units } from "../modules/dom.mjs";

const PAGE = 20;

/** The table of rounds, a field that finds some of them, and the command of the one that is chosen. */
export class Replays {
  constructor(rounds, place) {
    this.rounds = rounds;
    this.place = place;
    this.commands = new Map(rounds.map((round) => [round.key, round.replay]));
    this.most = PAGE;
    place("find").addEventListener("input", () => this.show());
    place("more").addEventListener("click", () => {
      this.most += PAGE;
      this.show();
    });
    place("copy").addEventListener("click", () => this.copy());
    this.show();
  }

  found() {
    const words = this.place("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return this.rounds;
    return this.rounds.filter((round) => {
      const text = textOf(round).toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }

  show() {
    const found = this.found();
    const shown = found.slice(0, this.most);
    const header = ["round", "settled by", "operator", "accounts", "transfers", "flows", "net", "refused", "trouble"];
    const rows = shown.map((round) => [
      html("a", { href: `#round=${round.key}`, class: round.broken ? "wrong" : null }, round.broken ? `✗ ${round.key}` : round.key),
      round.settled ? (round.settled_by ?? "–") : "not settled",
      round.lie ? `${round.operator}: ${round.lie}` : (round.operator ?? "–"),
      String(round.n_accounts),
      String(round.n_transfers),
      units(BigInt(Math.round(round.gross_units))),
      units(BigInt(Math.round(round.net_units))),
      String(round.n_refusals),
      round.troubles || "–",
    ]);
    const caption = `${found.length} rounds, ${shown.length} of them shown; amounts in base units`;
    this.place("rounds").replaceChildren(table(caption, header, rows, { id: "round-table" }));
    this.place("more").hidden = shown.length === found.length;
  }

  /** Show the command of one round; false if there is no such round on the page. */
  choose(key) {
    const command = this.commands.get(key);
    if (command === undefined) return false;
    this.place("command").value = command;
    this.place("copy").disabled = false;
    this.place("command").scrollIntoView({ block: "nearest" });
    return true;
  }

  copy() {
    const field = this.place("command");
    field.focus();
    field.select();
    const said = (text) => (this.place("copied").textContent = text);
    if (!navigator.clipboard) return said("Selected: copy it with the keyboard.");
    navigator.clipboard.writeText(field.value).then(
      () => said("Copied."),
      () => said("Selected: copy it with the keyboard."),
    );
    return undefined;
  }
}

function textOf(round) {
  const { key, settled_by: by, operator, lie, troubles, broken } = round;
  return [key, by ?? "not settled", operator, lie, troubles, broken ? "broken" : ""].join(" ");
}
