// The network as a row a group, from the stem on top to the head; a row stands for training from there to the head.
import { h } from "./dom.js";

const STATES = { trained: "trained", frozen: "frozen", waiting: "waits" };

/** `columns`: { title, width, cell(group, place), extra } each, where a narrow screen leaves out what is extra; `pick` is called with the number of trained groups. */
export function groupRows(groups, columns, pick) {
  const states = groups.map(() => h("small"));
  const rows = groups.map((group, place) => h("div", { class: "row", onclick: () => pick(groups.length - place) },
    h("button", { class: "block", title: `Train from ${group.name} to the head` }, group.name, states[place]),
    columns.map((column) => h("div", { class: column.extra && "extra" }, column.cell(group, place)))));
  const head = h("div", { class: "row head" }, h("div"), columns.map((column) => h("div", { class: column.extra && "extra" }, column.title)));
  const title = h("h4");
  const widths = (some) => some.map((column) => column.width).join(" ");
  const style = `--columns: ${widths(columns)}; --few: ${widths(columns.filter((column) => !column.extra))}`;
  const node = h("div", {}, title, h("div", { class: "rows", style }, head, rows));

  /** What is trained now and what waits for its stage, by name; which rows are chosen, chosen next and pinned, by number of groups. */
  function show({ trained, waiting = [], chosen, next, pinned, title: words = "Click a group: it and all below it are trained" }) {
    title.textContent = words;
    rows.forEach((row, place) => {
      const { name } = groups[place];
      const state = trained.includes(name) ? "trained" : waiting.includes(name) ? "waiting" : "frozen";
      row.dataset.state = state;
      states[place].textContent = STATES[state];
      row.classList.toggle("chosen", groups.length - place === chosen);
      row.classList.toggle("next", groups.length - place === next);
      row.classList.toggle("pinned", groups.length - place === pinned);
      row.firstChild.setAttribute("aria-pressed", groups.length - place === chosen);
    });
  }
  return { node, rows, show };
}

/** Names of the last groups. */
export const last = (groups, count) => groups.slice(groups.length - count).map((group) => group.name);
