/** Making elements, fitting texts, writing figures. All text enters as text, never as markup. */

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element; attributes that are null are left out, functions become listeners. */
export function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A drawing of this size with a title for those who do not see it. */
export function drawing(width, height, label, ...children) {
  const attributes = { width, height, viewBox: `0 0 ${width} ${height}`, role: "img" };
  return svg("svg", { ...attributes, "aria-label": label }, ...children);
}

/** A text in a drawing, with the whole of it as a tooltip if it was shortened. */
export function label(x, y, text, attributes = {}, whole = null) {
  const title = whole && whole !== text ? svg("title", {}, whole) : null;
  return svg("text", { x, y, ...attributes }, text, title);
}

/** Font of texts of the class "strong". */
export const STRONG = "600 12px";

let context = null;
const widths = new Map();

/** Width of a text in pixels at a font, such as "12px" or "600 12px" for bold text. */
export function widthOf(text, font = "12px") {
  const key = `${font}/${text}`;
  if (!widths.has(key)) {
    context ??= document.createElement("canvas").getContext("2d");
    context.font = `${font} ${getComputedStyle(document.body).fontFamily}`;
    widths.set(key, context.measureText(text).width);
  }
  return widths.get(key);
}

/** The text, or as much of its beginning as fits the width, with an ellipsis. */
export function fit(text, width, font = "12px") {
  if (widthOf(text, font) <= width) return text;
  const signs = globalThis.Intl?.Segmenter
    ? Array.from(new Intl.Segmenter().segment(text), (part) => part.segment)
    : Array.from(text);
  while (signs.length && widthOf(`${signs.join("")}…`, font) > width) signs.pop();
  return `${signs.join("")}…`;
}

/** A value with four decimals and without a minus before zeros. */
export function decimal(number, digits = 4) {
  const text = number.toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : text;
}

/** The same with its sign. */
export function signed(number, digits = 4) {
  const text = decimal(number, digits);
  return text.startsWith("-") ? `−${text.slice(1)}` : `+${text}`;
}

/** A whole amount with separators of thousands; null is shown as a dash. */
export function units(amount, withSign = false) {
  if (amount === null) return "–";
  const digits = String(amount < 0n ? -amount : amount).replace(/\B(?=(\d{3})+$)/g, ",");
  const sign = amount < 0n ? "−" : withSign && amount ? "+" : "";
  return sign + digits;
}

/** Round numbers on an axis from low to high, about as many as asked for. */
export function ticksOf(low, high, count) {
  const span = high - low || 1;
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * span; k += 1) {
    ticks.push(k * step);
  }
  return ticks;
}

/** Text of a tick: as many decimals as its step needs. */
export function tickText(tick, ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : tick || 1;
  const digits = Math.max(0, Math.ceil(-Math.log10(Math.abs(step)) - 1e-9));
  return decimal(tick, Math.min(digits, 6));
}

/** A table with a header row; cells are texts or elements, the first column is its row's header. */
export function table(caption, header, rows, attributes = {}) {
  return html(
    "table",
    attributes,
    html("caption", {}, caption),
    html("thead", {}, html("tr", {}, ...header.map((cell) => html("th", { scope: "col" }, cell)))),
    html(
      "tbody",
      {},
      ...rows.map((row) =>
        html(
          "tr",
          {},
          ...row.map((cell, k) => html(k ? "td" : "th", k ? {} : { scope: "row" }, cell)),
        ),
      ),
    ),
  );
}

/** A party's name, kept apart from the text around it whatever its script. */
export function named(name) {
  return html("bdi", {}, name);
}

const LINE = 14;

/** Labels moved so that no two overlap, as little as may be. */
export function apart(ends, top, bottom) {
  const sorted = [...ends].sort((a, b) => a.y - b.y);
  let least = top;
  for (const end of sorted) {
    end.y = Math.max(end.y, least);
    least = end.y + LINE;
  }
  let most = bottom;
  for (const end of sorted.reverse()) {
    end.y = Math.min(end.y, most);
    most = end.y - LINE;
  }
  return sorted;
}
