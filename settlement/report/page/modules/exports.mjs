/** The round's figures as files: CSV for tables, JSON for everything. */

/** Comma-separated values; quotes where a field needs them, no field that a spreadsheet would run. */
export function csv(rows) {
  const field = (cell) => {
    const text = String(cell ?? "");
    const safe = typeof cell === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return rows.map((row) => `${row.map(field).join(",")}\r\n`).join("");
}

/** Rows of the table of parties. */
export function partyRows(round) {
  const header = ["party", "own value", "deposit", "lambda", "payoff", "net position", "model value"];
  return [
    header,
    ...round.parties.map((name, i) => [
      name,
      round.ownValues[i],
      round.deposits[i],
      round.factors[i],
      round.payoffs[i],
      round.nets[i],
      round.modelValues[i],
    ]),
  ];
}

/** Rows of the payoff flows, payers down, payees across. */
export function flowRows(round) {
  return [
    ["payer", ...round.parties],
    ...round.parties.map((name, i) => [
      name,
      ...round.flows.slice(i * round.n, (i + 1) * round.n),
    ]),
  ];
}

/** Rows of the transfers. */
export function transferRows(round) {
  return [
    ["debtor", "creditor", "base units"],
    ...round.transfers.map((t) => [round.parties[t.debtor], round.parties[t.creditor], t.amount]),
  ];
}

/** Let the browser save a text under a name. */
export function save(name, kind, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
