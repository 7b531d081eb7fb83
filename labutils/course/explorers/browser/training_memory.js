// What a training step holds and what fits into a card: the sums of labutils/analysis/training_memory.py.
import { groupsText, h, sum, whole } from "./dom.js";
import { checkbox, explorer, from, select, slider } from "./frame.js";
import { groupRows, last } from "./rows.js";

const PARTS = ["weights", "optimizer", "gradients", "activations", "working"];

/** The fullest moment of a step, in MB of 1e6 bytes; `costs` has a row a group, stem first. */
export function memory(costs, { trained_groups: count, batch_size: batch, checkpointing }) {
  const of = (group, name) => group[`${name}_fixed`] + batch * group[`${name}_each`];
  const [frozen, trained] = [costs.slice(0, costs.length - count), costs.slice(costs.length - count)];
  const gradients = sum(trained.map((group) => group.trainable));
  // Gradients, activations and working memory: at the update, in the forward pass, and in each group's backward pass.
  const moments = [[gradients, 0, 2 * Math.max(...trained.map((group) => group.largest))]];
  for (const group of frozen) moments.push([0, 0, of(group, "forward")]);
  trained.forEach((group, place) => {
    const waiting = sum(trained.slice(0, place).map((each) => of(each, checkpointing ? "input" : "kept")));
    const done = sum(trained.slice(place + 1).map((each) => each.trainable));
    const step = of(group, "step");
    const [kept, own] = [Math.min(of(group, "kept"), step), Math.min(group.trainable, step)];
    moments.push([done + own, waiting + kept, Math.max(0, step - kept - own)]);
  });
  const fullest = moments.reduce((best, each) => (sum(each) > sum(best) ? each : best));
  return [sum(costs.map((group) => group.weights)), 2 * gradients, ...fullest];
}

/** The largest batch whose step stays below `room` MB; 0 where not even one picture does. */
export function largestBatch(costs, choice, room) {
  const fits = (batch) => sum(memory(costs, { ...choice, batch_size: batch })) <= room;
  if (!fits(1)) return 0;
  let [low, high] = [1, 2];
  while (fits(high) && high < 1_000_000) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    [low, high] = fits(middle) ? [middle, high] : [low, middle];
  }
  return low;
}

function render({ model, el }) {
  const { costs, cards, groups } = model.get("data");
  const backbones = Object.keys(costs);
  const table = (choice) => costs[choice.backbone][choice.precision];
  const gigabytes = (mb) => `${(mb / 1000).toFixed(2)} GB`;

  return explorer({ model, el }, "Memory of a training step", (choose) => {
    const stacks = groups.map(() => stack());
    const totals = groups.map(() => h("div", { class: "number" }));
    const rows = groupRows(groups, [
      { title: "a step that trains from this group to the head", width: "1fr", cell: (_, place) => stacks[place].node },
      { title: "", width: "70px", cell: (_, place) => totals[place] },
    ], (count) => choose({ trained_groups: count }));
    const cardsTitle = h("h4");
    const legend = PARTS.map((name, number) => h("span", { class: `part-${number}` }, h("i"), `${name} `, h("b")));
    const fills = cards.map((card) => {
      const [now, before, told] = [stack(), h("div", { class: "before" }), h("span")];
      return { card, now, before, told, node: h("div", { class: "card" }, h("b", {}, `${card} GB`), h("div", {}, now.node, before), told) };
    });

    function draw({ choice, pinned }) {
      const parts = memory(table(choice), choice);
      const total = sum(parts);
      rows.show({ trained: last(groups, choice.trained_groups), chosen: choice.trained_groups, pinned: pinned?.trained_groups });
      const each = groups.map((_, place) => memory(table(choice), { ...choice, trained_groups: groups.length - place }));
      const most = Math.max(...each.map(sum));
      each.forEach((held, place) => {
        stacks[place].show(held, most);
        totals[place].textContent = gigabytes(sum(held));
      });
      parts.forEach((size, number) => (legend[number].lastChild.textContent = `${whole(size)} MB`));
      cardsTitle.textContent = `How full a card is${pinned ? " (dashes: pinned)" : ""}`;
      for (const { card, now, before, told, node } of fills) {
        now.show(parts, 1000 * card);
        before.style.width = pinned ? `${Math.min(100, sum(memory(table(pinned), pinned)) / (10 * card))}%` : 0;
        const fits = total <= 1000 * card;
        node.classList.toggle("full", !fits);
        told.textContent = `${fits ? `${Math.round(total / (10 * card))}% full` : "does not fit"}, largest batch ${largestBatch(table(choice), choice, 1000 * card).toLocaleString("en-US")}`;
      }
      const largest = cards.map((card) => `${largestBatch(table(choice), choice, 1000 * card).toLocaleString("en-US")} into ${card} GB`);
      const top = parts.indexOf(Math.max(...parts));
      return { facts, sentence: `${groupsText(choice.trained_groups)} of ${groups.length} trained with AdamW on ${choice.batch_size} picture${choice.batch_size > 1 ? "s" : ""}` +
        `${choice.checkpointing ? ", checkpointed" : ""}: ${gigabytes(total)}; largest part: ${PARTS[top]}, ${whole(parts[top])} MB. Largest batch that fits: ${largest.join(", ")}.` };
    }
    const facts = (choice) => {
      const parts = memory(table(choice), choice);
      return [["trained from", last(groups, choice.trained_groups)[0]], ["fullest moment", gigabytes(sum(parts))],
        ...cards.map((card) => [`largest batch, ${card} GB`, largestBatch(table(choice), choice, 1000 * card).toLocaleString("en-US")])];
    };
    return {
      controls: [
        select("backbone", "Network", backbones),
        slider("trained_groups", "Trained groups, from the head", from(1, groups.length)),
        slider("batch_size", "Pictures in a batch, 224 px", from(0, 10).map((power) => 2 ** power)),
        select("precision", "Precision of the activations", Object.keys(costs[backbones[0]])),
        checkbox("checkpointing", "Gradient checkpointing"),
      ],
      draw,
      picture: h("div", {}, rows.node, h("div", { class: "legend" }, legend), h("div", { class: "cards" },
        cardsTitle, fills.map((fill) => fill.node))),
    };
  });
}

/** A bar of the five parts; more than there is room for is cut off. */
function stack() {
  const parts = PARTS.map((_, number) => h("i", { class: `part-${number}` }));
  return { node: h("div", { class: "stack" }, parts), show: (sizes, room) => sizes.forEach((size, number) => (parts[number].style.width = `${(100 * size) / room}%`)) };
}

export default { render };
