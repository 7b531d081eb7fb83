// Training from the browser: buttons, the runs so far, their curves, and a few pictures whose predictions change.
import { groupsText, h, percent } from "./dom.js";
import { curves } from "./curves.js";

export const running = (runs) => runs.find((run) => run.state === "running");

/** The stage that epoch number `epoch`, counted from 1, belongs to. */
export function stageOf(run, epoch) {
  let before = 0;
  return run.stages.find((stage) => epoch <= (before += stage.epochs)) ?? run.stages.at(-1);
}

/** What the rows of groups show: the run while there is one, however the sliders are moved; the choice otherwise. */
export function groupStates(runs, choice, pinned, last) {
  const run = running(runs);
  const shown = { chosen: (run?.choice ?? choice).trained_groups, pinned: pinned?.trained_groups };
  if (!run) return { ...shown, trained: last(choice.trained_groups) };
  const next = choice.trained_groups === shown.chosen ? null : choice.trained_groups;
  const trained = stageOf(run, run.rows.length + 1).groups;
  const title = `Training now: ${run.name}, epoch ${Math.min(run.rows.length + 1, run.epochs)} of ${run.epochs}${next ? " (dotted: next)" : ""}`;
  return { ...shown, next, title, trained, waiting: last(run.choice.trained_groups).filter((name) => !trained.includes(name)) };
}

/** Buttons for below the controls, the part of the picture about trainings, and what to say of them. */
export function live(model) {
  const train = h("button", { class: "primary", title: "Train with the values above", onclick: () => ask("train") }, "Train");
  const stop = h("button", { title: "End the training at its next batch", onclick: () => ask("stop") }, "Stop");
  const status = h("span", { role: "status" });
  const progress = h("progress", { "aria-label": "Epochs trained" });
  const list = h("ol", { class: "runs", "aria-label": "Live trainings and their test accuracy" });
  const chart = h("div", { class: "chart" });
  const pictures = h("div", { class: "predictions" });
  const error = h("p", { role: "alert" });
  let waiting = null; // asked for, and the kernel has not answered yet

  function ask(what) {
    waiting = what;
    model.send({ do: what, choice: model.get("choice") });
    draw();
  }
  model.on("change:runs change:error", () => (waiting = null));

  function draw() {
    const runs = model.get("runs");
    const run = running(runs);
    const newest = runs.at(-1);
    train.disabled = Boolean(run) || waiting === "train";
    stop.disabled = !run || waiting === "stop";
    progress.max = newest?.epochs ?? 1;
    progress.value = newest?.rows.length ?? 0;
    status.textContent = waiting === "train" ? "Waiting for the kernel …" : waiting === "stop" ? "Stopping …" : statusText(newest);
    error.textContent = model.get("error") || (newest?.error ?? "");
    list.replaceChildren(...runs.map((each, number) => h("li", { class: `run-${number % 6}`, title: `seed ${each.seed}` },
      `${number + 1}: ${each.name} `, each.state === "finished" ? h("b", {}, `★ ${percent(each.test)}`) : each.state)));
    // Without a width it is hidden, as for a moment when JupyterLab changes its theme.
    if (chart.clientWidth) chart.replaceChildren(curves(runs, chart.clientWidth, chart.clientHeight));
    drawPictures(pictures, model.get("pictures"), newest);
  }
  return {
    extras: [h("div", { class: "buttons" }, train, stop), h("div", { class: "epochs" }, progress, status), error, list],
    node: h("div", { class: "live" },
      h("div", {}, h("h4", {}, "Live training: validation accuracy (dotted: training)"), chart), pictures),
    draw,
    reset: () => ask("reset"),
    sentence: () => liveText(model.get("runs")),
  };
}

function statusText(run) {
  if (!run) return "Ready.";
  if (run.state === "running") return run.rows.length ? `Epoch ${run.rows.length} of ${run.epochs}` : "Preparing …";
  return { finished: "Finished.", stopped: "Stopped.", failed: "Failed." }[run.state];
}

function liveText(runs) {
  const run = running(runs) ?? runs.at(-1);
  if (!run) return "Nothing was trained live yet.";
  if (run.state === "finished") return `Last live training, ${run.name}: ${percent(run.test)} on the test pictures.`;
  if (run.state !== "running") return `Last live training, ${run.name}: ${run.state} after ${run.rows.length} of ${run.epochs} epochs.`;
  const now = stageOf(run, run.rows.length + 1).groups;
  return `Training now, ${run.name}: ${run.rows.length} of ${run.epochs} epochs done, ${groupsText(now.length)} in training` +
    (now.length < run.choice.trained_groups ? `, ${groupsText(run.choice.trained_groups - now.length)} still frozen.` : ".");
}

function drawPictures(node, pictures, run) {
  node.hidden = !pictures.length;
  if (!pictures.length) return;
  const seen = run?.predictions ?? [];
  node.replaceChildren(h("h4", {}, "Probability of the true class"), ...pictures.map((picture, number) => {
    const shares = seen.map((epoch) => epoch[number]);
    const now = shares.at(-1);
    const right = now?.right;
    return h("figure", { class: now ? (right ? "right" : "wrong") : "" },
      h("img", { src: picture.src, alt: `a picture of the class ${picture.label}` }),
      spark(shares.map((share) => share.probability)),
      h("figcaption", {}, picture.label, h("b", {}, now ? `${right ? "✓" : "✗"} ${percent(now.probability, 0)}` : "")));
  }));
}

/** A probability over the epochs, from 0 at the bottom to 1. */
function spark(shares) {
  const [width, height, gap] = [56, 18, 2];
  const x = (place) => gap + (place * (width - 2 * gap)) / Math.max(7, shares.length - 1);
  const y = (share) => height - gap - share * (height - 2 * gap);
  const path = shares.map((share, place) => `${place ? "L" : "M"}${x(place)} ${y(share)}`).join("");
  return h("svg", { class: "spark", width, height, "aria-hidden": "true" },
    h("line", { x1: 0, x2: width, y1: y(0.5), y2: y(0.5), class: "grid" }), h("path", { d: path }),
    shares.length ? h("circle", { cx: x(shares.length - 1), cy: y(shares.at(-1)), r: 2.5 }) : null);
}
