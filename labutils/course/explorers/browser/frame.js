// What all explorers share: controls beside a picture, what is chosen beside what is pinned, a sentence below.
import { h } from "./dom.js";

/** A native slider. `values` lists what it can be set to, `text` writes a value beside the label. */
export function slider(name, label, values, text = String) {
  const shown = h("b", { "aria-hidden": "true" }); // the slider itself says its value
  const input = h("input", { type: "range", min: 0, max: values.length - 1, step: 1 });
  return {
    node: h("label", { class: "control" }, h("span", {}, label), shown, input),
    listen: (choose) => input.addEventListener("input", () => choose({ [name]: values[input.value] })),
    show(choice, most = values.length) {
      const nearest = values.map((value) => Math.abs(value - choice[name]));
      input.max = most - 1;
      input.value = nearest.indexOf(Math.min(...nearest));
      shown.textContent = text(choice[name], choice);
      input.setAttribute("aria-valuetext", shown.textContent);
    },
  };
}

export function select(name, label, values) {
  const input = h("select", {}, values.map((value) => h("option", { value }, value)));
  return {
    node: h("label", { class: "control" }, h("span", {}, label), input),
    listen: (choose) => input.addEventListener("change", () => choose({ [name]: input.value })),
    show: (choice) => (input.value = choice[name]),
  };
}

export function checkbox(name, label) {
  const input = h("input", { type: "checkbox" });
  return {
    node: h("label", { class: "control check" }, input, h("span", {}, label)),
    listen: (choose) => input.addEventListener("change", () => choose({ [name]: input.checked })),
    show: (choice) => (input.checked = choice[name]),
  };
}

/** Whole numbers from `first` to `last`. */
export const from = (first, last) => Array.from({ length: last - first + 1 }, (_, place) => first + place);

/**
 * Builds an explorer into `el` and draws it whenever something changes, at most once a frame.
 *
 * `parts(choose)` gives { controls, extras, picture, draw }: the controls by their functions above, elements to stand
 * below them, the element of the picture, and a function of { choice, pinned } that updates the picture and returns
 * { facts, sentence }, where facts(choice) lists [name, text] of a choice.
 */
export function explorer({ model, el }, title, parts) {
  const start = model.get("choice");
  const choose = (change) => {
    model.set("choice", { ...model.get("choice"), ...change });
    model.save_changes();
  };
  const pin = (choice) => {
    model.set("pinned", choice);
    model.save_changes();
  };
  const { controls, extras = [], picture, draw, reset = () => {} } = parts(choose);
  const pinButton = h("button", {
    title: "Keep this choice in view and go on with another",
    onclick: () => pin(model.get("pinned") ? null : model.get("choice")),
  });
  const resetButton = h("button", {
    title: "Back to the beginning: choice, pin and trainings",
    onclick: () => { choose(start); pin(null); reset(); },
  }, "Reset");
  const table = h("table", { class: "facts" });
  const sentence = h("p", { class: "sentence" });
  const panel = h("div", { class: "panel" }, controls.map((control) => control.node), extras,
    h("div", { class: "buttons" }, pinButton, resetButton), table);
  const section = h("section", { class: "lab-explorer", "aria-label": title },
    h("div", { class: "beside" }, panel, h("div", { class: "picture" }, picture)), sentence);
  // Where one of them has the focus, JupyterLab would take the arrow keys for its own.
  section.querySelectorAll("input, select, button").forEach((node) => node.setAttribute("data-lm-suppress-shortcuts", "true"));
  el.append(section);
  controls.forEach((control) => control.listen(choose));

  function redraw() {
    asked = null;
    const [choice, pinned] = [model.get("choice"), model.get("pinned")];
    controls.forEach((control) => control.show(choice));
    const { facts, sentence: words } = draw({ choice, pinned });
    pinButton.textContent = pinned ? "Unpin" : "Pin";
    pinButton.setAttribute("aria-pressed", Boolean(pinned));
    const columns = pinned ? [facts(choice), facts(pinned)] : [facts(choice)];
    const head = pinned ? [h("tr", {}, h("td"), h("th", { scope: "col" }, "now"), h("th", { scope: "col", class: "pinned" }, "pinned"))] : [];
    table.replaceChildren(...head, ...columns[0].map(([name, value], row) => h("tr", {},
      h("th", { scope: "row" }, name), h("td", {}, value), pinned && h("td", { class: "pinned" }, columns[1][row][1]))));
    sentence.textContent = words;
  }
  let asked = null;
  const soon = () => (asked ??= requestAnimationFrame(redraw));
  model.on("change", soon);
  const seen = new ResizeObserver(soon);
  seen.observe(picture);
  redraw();
  return () => {
    model.off("change", soon);
    seen.disconnect();
  };
}
