// Small things that every part needs: elements, numbers as text.

/** An element with attributes, listeners (names that begin with "on") and children; nothing is parsed as HTML. */
export function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "circle", "text", "rect"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;
export const whole = (number) => Math.round(number).toLocaleString("en-US");
export const short = (rate) => rate.toExponential(1).replace(/\.0(?=e)/, "").replace("e-", "e\u2212");
export const groupsText = (count) => `${count} group${count > 1 ? "s" : ""}`;
export const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
export const interval = (row) =>
  !row ? "not measured" : percent(row.mean) + (row.low === null ? "" : ` (${percent(row.low)} to ${percent(row.high)})`);
