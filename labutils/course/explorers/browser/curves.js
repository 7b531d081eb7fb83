// Accuracy over the epochs: a named line a run, and where the newest run unfreezes groups.
import { h, percent } from "./dom.js";

const LETTER = 6.6; // pixels, bold

/** Round numbers from low to high, about four of them. */
export function ticks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, place) => (first + place) * step);
}

/** Heights moved apart as far as names need, in the order they had. */
function apart(heights, room) {
  const order = heights.map((_, place) => place).sort((a, b) => heights[a] - heights[b]);
  const moved = [...heights];
  order.forEach((place, number) => {
    if (number) moved[place] = Math.max(moved[place], moved[order[number - 1]] + room);
  });
  return moved;
}

export function curves(runs, width, height) {
  const begun = runs.filter((run) => run.rows.length);
  const newest = runs.at(-1);
  const epochs = Math.max(...runs.map((run) => run.epochs), runs.length ? 1 : 8);
  const longest = Math.max(12, ...begun.map((run) => run.name.length));
  const named = LETTER * longest < 0.4 * width; // or else a number stands for the name
  const EDGE = { left: 40, right: named ? 14 + LETTER * longest : 30, top: 22, bottom: 34 };
  const values = begun.flatMap((run) => run.rows.flatMap((row) => [row.train, row.validation]));
  const [least, most] = values.length ? [Math.min(...values), Math.max(...values)] : [0.5, 1];
  const [low, high] = [Math.max(0, least - 0.03), Math.min(1.005, most + 0.03)];
  const x = (epoch) => EDGE.left + ((epoch - 0.5) * (width - EDGE.left - EDGE.right)) / epochs;
  const y = (share) => EDGE.top + ((high - share) * (height - EDGE.top - EDGE.bottom)) / (high - low);
  const [floor, right] = [height - EDGE.bottom, width - EDGE.right];
  const text = (at, up, words, more = {}) => h("text", { x: at, y: up, ...more }, words);

  const axes = [
    ...(values.length ? ticks(low, high) : []).flatMap((share) => [
      h("line", { x1: EDGE.left, x2: right, y1: y(share), y2: y(share), class: "grid" }),
      text(EDGE.left - 6, y(share) + 4, percent(share, 0), { "text-anchor": "end" }),
    ]),
    ...Array.from({ length: epochs }, (_, place) => text(x(place + 1), floor + 15, place + 1, { "text-anchor": "middle" })),
    h("line", { x1: EDGE.left, x2: right, y1: floor, y2: floor, class: "axis" }),
    text((EDGE.left + right) / 2, height - 4, "epoch", { "text-anchor": "middle" }),
  ];
  if (!runs.length) {
    axes.push(text((EDGE.left + right) / 2, (EDGE.top + floor) / 2, "Press “Train”: a curve grows here.", { "text-anchor": "middle", class: "hint" }));
  }
  let before = 0;
  const stages = (newest?.stages ?? []).flatMap((stage, number) => {
    const start = x(before + 0.5);
    before += stage.epochs;
    const words = stage.groups.length > 1 ? `${stage.groups[0]} to ${stage.groups.at(-1)}` : stage.groups[0];
    return [number ? h("line", { x1: start, x2: start, y1: EDGE.top - 14, y2: floor, class: "stage" }) : null,
      text(start + 5, EDGE.top - 6, words, { class: "stage" })];
  });
  const ends = apart(begun.map((run) => y(run.rows.at(-1).validation)), 14);
  const lines = begun.map((run, number) => {
    const path = (split) => run.rows.map((row, place) => `${place ? "L" : "M"}${x(row.epoch)} ${y(row[split])}`).join("");
    const row = run.rows.at(-1);
    return h("g", { class: `line run-${runs.indexOf(run) % 6}${run === newest ? " newest" : ""}` },
      h("path", { d: path("validation") }),
      run === newest ? h("path", { d: path("train"), class: "train" }) : null,
      h("circle", { cx: x(row.epoch), cy: y(row.validation), r: 3.5 }),
      h("line", { x1: x(row.epoch) + 4, y1: y(row.validation), x2: right + 6, y2: ends[number], class: "leader" }),
      text(right + 9, ends[number] + 4, named ? run.name : runs.indexOf(run) + 1));
  });
  const told = newest ? `Accuracy over ${newest.rows.length} epochs: ${begun.map((run) => `${run.name} ${percent(run.rows.at(-1).validation)}`).join(", ")} on the validation pictures` : "No training yet";
  return h("svg", { width, height, role: "img", "aria-label": told }, axes, stages, lines);
}
