// How many groups to train: what that costs, what was measured, and trainings of one's own.
import { groupsText, h, interval, percent, sum, whole } from "./dom.js";
import { ticks } from "./curves.js";
import { explorer, from, slider } from "./frame.js";
import { groupStates, live } from "./live.js";
import { groupRows, last } from "./rows.js";

function render({ model, el }) {
  const { groups, accuracy, backbone } = model.get("data");
  const measured = (count) => accuracy.find((row) => row.trained_groups === count);
  const cost = (count, of) => sum(groups.slice(groups.length - count).map((group) => group[of]));
  const all = Object.fromEntries(["parameters", "kept_mb", "step_ms"].map((of) => [of, cost(groups.length, of)]));
  const shares = (of) => ({ cell: (_, place) => bar(cost(groups.length - place, of) / all[of]) });

  const ends = accuracy.flatMap((row) => [row.low ?? row.mean, row.high ?? row.mean]);
  const [low, high] = [Math.min(...ends) - 0.01, Math.max(...ends) + 0.01];
  const at = (share) => `${(100 * (Math.min(Math.max(share, low), high) - low)) / (high - low)}%`;
  const grid = ticks(low, high);
  const stars = groups.map(() => h("div", { class: "stars" }));

  return explorer({ model, el }, "Freeze depth", (choose) => {
    const training = live(model);
    const rows = groupRows(groups, [
      { title: "parameters", width: "minmax(52px, 0.7fr)", ...shares("parameters") },
      { title: "activations kept", width: "minmax(52px, 0.7fr)", extra: true, ...shares("kept_mb") },
      { title: "time of a step", width: "minmax(52px, 0.7fr)", extra: true, ...shares("step_ms") },
      { title: h("span", { title: backbone ? `measured with ${backbone}` : null }, "test accuracy, 95 % interval, ★ yours"), width: "minmax(110px, 2.4fr)", cell: (_, place) => whisker(measured(groups.length - place), at, grid, stars[place]) },
      { title: "", width: "56px", cell: (_, place) => h("div", { class: "number" }, measured(groups.length - place) ? percent(measured(groups.length - place).mean) : "") },
    ], (count) => choose({ trained_groups: count }));
    const scale = h("div", { class: "scale" }, grid.map((share) => h("span", { style: `left: ${at(share)}` }, percent(share, 0))));
    rows.node.lastChild.append(h("div", { class: "row foot" }, scale));

    function draw({ choice, pinned }) {
      const runs = model.get("runs");
      rows.show(groupStates(runs, choice, pinned, (count) => last(groups, count)));
      stars.forEach((node, place) => node.replaceChildren(...runs.map((run, number) =>
        run.state === "finished" && run.choice.trained_groups === groups.length - place
          ? h("span", { class: `run-${number % 6}`, style: `left: ${at(run.test)}`, title: `${run.name}: ${percent(run.test)}` }, "★") : null).filter(Boolean)));
      training.draw();
      const count = choice.trained_groups;
      return { facts, sentence: `${groupsText(count)} of ${groups.length} trained, from ${last(groups, count)[0]} on: ` +
        `${whole(cost(count, "parameters"))} parameters (${percent(cost(count, "parameters") / all.parameters)}). ` +
        `Test accuracy measured beforehand${backbone ? ` with ${backbone}` : ""}: ${interval(measured(count))}. ${training.sentence()}` };
    }
    const facts = ({ trained_groups: count }) => [
      ["trained from", last(groups, count)[0]],
      ["parameters", whole(cost(count, "parameters"))],
      ["activations kept", `${cost(count, "kept_mb").toFixed(1)} MB`],
      ["time of a step, all = 100%", percent(cost(count, "step_ms") / all.step_ms, 0)],
      ["test accuracy", measured(count) ? percent(measured(count).mean) : "not measured"],
    ];
    return {
      controls: [slider("trained_groups", "Trained groups, from the head", from(1, groups.length))],
      extras: training.extras, reset: training.reset, draw,
      picture: h("div", {}, rows.node, training.node),
    };
  });
}

const bar = (share) => h("div", { class: "bar" }, h("i", { style: `width: ${100 * share}%` }), h("span", {}, percent(share, share < 0.1 ? 1 : 0)));

/** Mean and interval above, the ends of live trainings in a lane of their own below, so that none hides another. */
function whisker(row, at, grid, stars) {
  const lines = grid.map((share) => h("u", { style: `left: ${at(share)}` }));
  if (!row) return h("div", { class: "whisker" }, lines, stars);
  const line = row.low === null ? null : h("i", { style: `left: ${at(row.low)}; right: calc(100% - ${at(row.high)})` });
  return h("div", { class: "whisker" }, lines, line, h("b", { style: `left: ${at(row.mean)}` }), stars);
}

export default { render };
