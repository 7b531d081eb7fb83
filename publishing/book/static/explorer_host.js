// Stands in for the kernel: keeps an explorer's values in the page, and tells it when they change.
function host(values) {
  const el = [...document.querySelectorAll(".explorer-in-book")].find((node) => !node.hasChildNodes());
  const listeners = new Map(); // from the name of an event to what is to be called
  const tell = (event) => (listeners.get(event) ?? []).forEach((listener) => listener());
  const model = {
    get: (name) => values[name],
    set: (name, value) => {
      values[name] = value;
      tell(`change:${name}`);
      tell("change");
    },
    on: (events, listener) => events.split(" ").forEach((event) => listeners.set(event, [...(listeners.get(event) ?? []), listener])),
    off: () => listeners.clear(),
    save_changes: () => {},
    send: () => {}, // nobody trains here
  };
  const follow = () => (el.dataset.jpThemeLight = document.documentElement.dataset.theme !== "dark");
  new MutationObserver(follow).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  follow();
  return { model, el };
}
