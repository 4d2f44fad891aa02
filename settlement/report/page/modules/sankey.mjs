/** Net transfers as streams from debtors on the left to creditors on the right. */

import { STRONG, drawing, fit, label, svg, units } from "./dom.mjs";

const { sankey, sankeyJustify, sankeyLinkHorizontal } = globalThis.d3 ?? {};
const GAP = 32; // two lines of text

/** The streams; null if nobody pays. */
export function drawTransfers(round, transfers, width) {
  if (!transfers.length) return null;
  const debtors = [...new Set(transfers.map((t) => t.debtor))];
  const creditors = [...new Set(transfers.map((t) => t.creditor))];
  const nodes = [...debtors, ...creditors].map((party) => ({ party }));
  const place = new Map(nodes.map((node, at) => [node.party, at]));
  const links = transfers.map((t) => ({
    source: place.get(t.debtor),
    target: place.get(t.creditor),
    value: Number(t.amount),
    amount: t.amount,
  }));
  const side = Math.min(170, Math.floor(width * 0.32));
  const height = 60 + GAP * Math.max(debtors.length, creditors.length);
  const graph = sankey()
    .nodeAlign(sankeyJustify)
    .nodeWidth(8)
    .nodePadding(GAP - 2)
    .extent([[side, 16], [width - side, height - 16]])({ nodes, links });
  const parts = graph.links.map((link) => {
    const [from, to] = [link.source.party, link.target.party];
    const title = `${round.parties[from]} → ${round.parties[to]}: ${units(link.amount)}`;
    const drawn = { class: "stream", d: sankeyLinkHorizontal()(link) };
    const thickness = Math.max(1, link.width);
    return svg("path", { ...drawn, "stroke-width": thickness }, svg("title", {}, title));
  });
  for (const node of graph.nodes) {
    const pays = node.sourceLinks.length > 0;
    const middle = (node.y0 + node.y1) / 2;
    const x = pays ? node.x0 - 6 : node.x1 + 6;
    const anchor = { "text-anchor": pays ? "end" : "start" };
    const name = round.parties[node.party];
    const sum = (pays ? node.sourceLinks : node.targetLinks).reduce((s, l) => s + l.amount, 0n);
    const size = { width: node.x1 - node.x0, height: Math.max(1, node.y1 - node.y0) };
    parts.push(svg("rect", { class: pays ? "debtor" : "creditor", x: node.x0, y: node.y0, ...size }));
    parts.push(label(x, middle - 2, fit(name, side - 8, STRONG), { ...anchor, class: "strong" }, name));
    parts.push(label(x, middle + 12, units(sum), anchor));
  }
  const told = transfers
    .map((t) => `${round.parties[t.debtor]} pays ${round.parties[t.creditor]} ${units(t.amount)}`)
    .join("; ");
  return drawing(width, height, `Net transfers in base units: ${told}`, ...parts);
}
