// At which rates to train the groups: what was measured at the base rate of the table, and trainings of one's own.
import { groupsText, h, interval, percent, short } from "./dom.js";
import { explorer, from, slider } from "./frame.js";
import { groupStates, live, running, stageOf } from "./live.js";
import { groupRows, last } from "./rows.js";

const BASE_RATES = from(0, 12).map((step) => 10 ** (step / 4 - 4));
const DECAYS = from(2, 20).map((halves) => halves / 2);

function render({ model, el }) {
  const { groups, surface, backbone, base_lr: measuredAt, lesson } = model.get("data");
  const names = groups.map((group) => group.name);
  const decays = [...new Set(surface.filter((cell) => cell.trained_groups > 1).map((cell) => cell.lr_decay))];
  const rates = (choice) => choice.lesson ? lesson : names.map((_, place) => choice.base_lr / choice.decay ** (names.length - 1 - place));

  /** The measured cell nearest to a choice, and whether it is that choice: of as many groups, by the ratio of the decays. */
  function nearest({ trained_groups: count, decay, base_lr, lesson }) {
    const away = (cell) => Math.abs(Math.log(cell.lr_decay / decay));
    const cells = surface.filter((cell) => cell.trained_groups === count);
    const cell = cells.reduce((best, each) => (away(each) < away(best) ? each : best), cells[0]);
    const sameRate = !lesson && Math.abs(base_lr / measuredAt - 1) < 1e-6;
    return { cell, sameRate, exact: sameRate && (count === 1 || cell?.lr_decay === decay) };
  }

  return explorer({ model, el }, "Rates of the groups", (chooseAny) => {
    const choose = (change) => chooseAny("trained_groups" in change ? change : { ...change, lesson: false });
    const training = live(model);
    const rateCells = names.map(() => h("div", { class: "bar rate" }, h("i"), h("span")));
    const cells = new Map();
    const cellsOf = (count) => surface.filter((cell) => cell.trained_groups === count).map((cell) => {
      const stars = h("small");
      const node = h("div", { class: "cell", style: shade(cell, surface), title: `decay ${cell.lr_decay}: ${interval(cell)}`, onclick: (event) => {
        event.stopPropagation();
        chooseAny({ trained_groups: count, decay: count > 1 ? cell.lr_decay : model.get("choice").decay, base_lr: measuredAt, lesson: false });
      } }, (100 * cell.mean).toFixed(1), stars);
      cells.set(cell, { node, stars });
      return node;
    });
    const rateTitle = h("span");
    const titles = h("div", {}, `measured test accuracy, %, at η ${short(measuredAt)}, by decay`, h("div", { class: "cells" }, decays.map((decay) => h("span", {}, `${decay}`))));
    const rows = groupRows(groups, [
      { title: rateTitle, width: "minmax(60px, 1fr)", cell: (_, place) => rateCells[place] },
      { title: titles, width: "minmax(170px, 1.6fr)", cell: (_, place) => h("div", { class: "cells" }, cellsOf(names.length - place)) },
    ], (count) => choose({ trained_groups: count }));
    const preset = h("button", { title: `${lesson.map(short).join(", ")}, all from the first step on`, onclick: () => chooseAny(
      { base_lr: lesson.at(-1), decay: 3, trained_groups: Math.min(5, names.length), lesson: true }) }, "The lesson’s five rates");

    function draw({ choice, pinned }) {
      const runs = model.get("runs");
      rows.show(groupStates(runs, choice, pinned, (count) => last(groups, count)));
      // While something is trained, its rates in this stage.
      const run = running(runs);
      const slowed = run ? stageOf(run, run.rows.length + 1).rate / run.stages[0].rate : 1;
      const [now, before] = [rates(run?.choice ?? choice).map((rate) => rate * slowed), pinned && rates(pinned)];
      const stages = (run?.choice ?? choice).trained_groups > 1 && !(run?.choice ?? choice).lesson;
      rateTitle.textContent = `learning rate η${run ? " in this stage" : stages ? ", a tenth in stage 2" : ""}`;
      const lowest = Math.min(...now, ...(before ?? [])) / 3;
      const along = (rate) => `${(100 * Math.log(rate / lowest)) / Math.log(1 / lowest)}%`;
      rateCells.forEach((node, place) => {
        node.firstChild.style.width = along(now[place]);
        node.style.setProperty("--pin", before ? along(before[place]) : "-9px");
        node.lastChild.textContent = short(now[place]);
      });
      const marked = nearest(run?.choice ?? choice);
      const kept = pinned && nearest(pinned);
      for (const [cell, { node, stars }] of cells) {
        node.classList.toggle("exact", cell === marked.cell && marked.exact);
        node.classList.toggle("nearest", cell === marked.cell && !marked.exact);
        node.classList.toggle("pinned", cell === kept?.cell);
        stars.replaceChildren(...runs.flatMap((run, number) => {
          const of = nearest(run.choice);
          return run.state === "finished" && of.sameRate && of.cell === cell
            ? [h("span", { class: `run-${number % 6}`, title: run.name }, `★${(100 * run.test).toFixed(1)} `)] : [];
        }));
      }
      preset.setAttribute("aria-pressed", choice.lesson);
      training.draw();
      const [head, first] = [rates(choice).at(-1), rates(choice)[names.length - choice.trained_groups]];
      return { facts, sentence: `The head learns at ${short(head)}; ${last(groups, choice.trained_groups)[0]}, the first trained group, ` +
        (choice.trained_groups > 1 ? `at ${short(first)}: ${times(head / first)} slower. ` : "is the head itself. ") +
        `${measuredText(choice, nearest(choice))} ${training.sentence()}` };
    }
    function measuredText(choice, { cell, exact, sameRate }) {
      if (!cell) return "Nothing was measured for so many groups.";
      const of = `${groupsText(cell.trained_groups)}${cell.trained_groups > 1 ? ` and decay ${cell.lr_decay}` : ""}: ${percent(cell.mean)}`;
      const by = backbone ? ` with ${backbone}` : "";
      if (exact) return `Measured beforehand${by} for ${of}.`;
      return `Nearest measured${by}, ${sameRate ? "" : `at base rate ${short(measuredAt)}, `}${of}` +
        (sameRate ? "." : "; at these rates only a training of your own can tell.");
    }
    const facts = (choice) => {
      const now = rates(choice);
      const { cell, exact } = nearest(choice);
      return [
        ["head learns at", short(now.at(-1))],
        [`first trained group`, last(groups, choice.trained_groups)[0]],
        ["learns at", short(now[names.length - choice.trained_groups])],
        ["slower than the head", times(now.at(-1) / now[names.length - choice.trained_groups])],
        [exact ? "measured" : "nearest measured", cell ? percent(cell.mean) : "nothing"],
      ];
    };
    return {
      controls: [
        slider("base_lr", "Base rate η of the head", BASE_RATES, (rate) => short(rate)),
        slider("decay", "Decay from group to group", DECAYS, (decay, choice) => (choice.lesson ? "as listed" : decay)),
        slider("trained_groups", "Trained groups, from the head", from(1, names.length)),
      ].map((control) => ({ ...control, listen: () => control.listen(choose) })),
      extras: [preset, ...training.extras], reset: training.reset, draw,
      picture: h("div", {}, rows.node, training.node),
    };
  });
}

const times = (ratio) => (ratio < 1.05 ? "1 time" : `${ratio < 10 ? Number(ratio.toFixed(1)) : Math.round(ratio).toLocaleString("en-US")} times`);

/** Background between the page's and the accent colour, and a text colour that can be read on it. */
function shade(cell, surface) {
  const means = surface.map((each) => each.mean);
  const strength = (cell.mean - Math.min(...means)) / (Math.max(...means) - Math.min(...means) || 1);
  return `--strength: ${Math.round(10 + 90 * strength)}%; color: var(${strength > 0.5 ? "--lab-page" : "--lab-text"})`;
}

export default { render };
