// What the browser does for the widget Teach (widget.py). All that it knows of pictures and network comes in messages
// from Python; all that a person does goes back as {do: NAME, …}.

const SIDE = 256; // pixels of a picture on its way to Python, which makes it smaller still
const HELD = 600; // ms after which a button that is down counts as held
const EVERY = 250; // ms between two pictures then
const HINT = "Start the camera, or click on a picture to see what the network says of it. Pictures stay on this machine.";
const PARTS = { train: "trained on", validation: "kept back to check", test: "kept for the end" };

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  node.dataset.lmSuppressShortcuts = "true"; // of JupyterLab, where a letter pressed on a button would make a cell
  return node;
}

const button = (text, title, onclick) => make("button", { type: "button", textContent: text, title, onclick });

// The middle of a picture, as a JPEG.
async function square(source, width, height) {
  const side = Math.min(width, height);
  const canvas = make("canvas", { width: SIDE, height: SIDE });
  const [left, top] = [(width - side) / 2, (height - side) / 2];
  canvas.getContext("2d").drawImage(source, left, top, side, side, 0, 0, SIDE, SIDE);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  return blob.arrayBuffer();
}

async function fromFile(file) {
  try {
    const bitmap = await createImageBitmap(file);
    return await square(bitmap, bitmap.width, bitmap.height);
  } catch {
    return file.arrayBuffer(); // a kind that the browser does not know; Python may
  }
}

function render({ model, el }) {
  const ask = (what, buffers = []) => model.send(what, undefined, buffers);
  const thumbnails = {}; // address of each picture by its number
  let state = { classes: [], groups: [], result: null };
  let chosen = null; // number of the picture that is shown instead of the camera
  let stream = null;
  let waiting = false; // for the answer to a frame

  // ---- Left: what is looked at, and the bars
  const video = make("video", { muted: true, playsInline: true, ariaLabel: "Camera" });
  const still = make("img", { alt: "" });
  const hint = make("p", { textContent: HINT });
  const camera = button("Start camera", "The browser asks for permission", toggleCamera);
  const remove = button("Remove picture", "Or press Delete on it", () => drop(chosen));
  const bars = make("div", { className: "teach-bars" });
  const left = make(
    "section",
    { className: "teach-look", ariaLabel: "Look" },
    make("div", { className: "teach-stage" }, video, still, hint),
    make("div", { className: "teach-row" }, camera, remove),
    bars,
  );

  async function toggleCamera() {
    if (stream && chosen !== null) return choose(null);
    if (stream) return stopCamera();
    try {
      // Missing where the page is neither on localhost nor served over https.
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
      video.srcObject = stream;
      await video.play();
      choose(null);
    } catch (error) {
      tell(`No camera here (${error.message}). Upload pictures instead.`);
    }
  }

  function stopCamera() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = video.srcObject = null;
    look();
  }

  const frame = () => square(video, video.videoWidth, video.videoHeight);

  async function watch() {
    if (!el.isConnected || !stream || chosen !== null || waiting || !state.result) return;
    waiting = true;
    ask({ do: "ask" }, [await frame()]);
  }

  function choose(number) {
    chosen = number;
    bars.replaceChildren();
    look();
    if (number !== null && state.result) ask({ do: "ask", number });
    watch();
  }

  function look() {
    const live = stream !== null && chosen === null;
    video.hidden = !live;
    still.hidden = chosen === null;
    still.src = thumbnails[chosen] ?? "";
    hint.hidden = live || chosen !== null;
    remove.hidden = chosen === null;
    camera.textContent = !stream ? "Start camera" : live ? "Stop camera" : "Back to camera";
  }

  function answer(shares) {
    const best = Math.max(...shares.map(([, share]) => share));
    shares.forEach(([name, share], i) => {
      const row = bars.children[i] ?? bars.appendChild(bar());
      const percent = `${Math.round(100 * share)}%`;
      row.classList.toggle("teach-best", share === best);
      row.children[0].textContent = name;
      row.children[1].firstChild.style.width = `${100 * share}%`;
      row.children[2].textContent = percent;
      row.ariaLabel = `${name}: ${percent}`;
      row.ariaValueNow = Math.round(100 * share);
    });
    while (bars.children.length > shares.length) bars.lastChild.remove();
  }

  const bar = (fill = make("i")) =>
    make("div", { role: "meter" }, make("span"), make("span", { className: "teach-track" }, fill), make("span"));

  // ---- Right: a row for each class
  const rows = [];
  const list = make("div", { className: "teach-classes" });
  const another = button("Add a class", "", () => ask({ do: "class" }));
  const legend = make("small", {});
  for (const [part, words] of Object.entries(PARTS))
    legend.append(make("span", { className: `teach-${part}`, textContent: words }), " ");
  const right = make("section", { ariaLabel: "Classes" }, list, make("div", { className: "teach-row" }, another, legend));

  function newRow(i) {
    const nameNow = () => state.classes[i].name;
    const rename = ({ target }) => ask({ do: "rename", old: nameNow(), new: target.value });
    const files = make("input", { type: "file", multiple: true, accept: "image/*", hidden: true });
    files.onchange = async () => {
      const pictures = await Promise.all([...files.files].map(fromFile));
      files.value = "";
      ask({ do: "add", name: nameNow() }, pictures);
    };
    const take = async () => {
      if (!stream) await toggleCamera();
      if (stream) ask({ do: "add", name: nameNow() }, [await frame()]);
    };
    const row = {
      name: make("input", { ariaLabel: `Name of class ${i + 1}`, onchange: rename }),
      take: button("Take", "Hold for several pictures", null),
      count: make("output", {}),
      strip: make("div", { className: "teach-strip", role: "group", onkeydown: alongStrip }),
    };
    holdable(row.take, take);
    const gone = button("×", "Remove this class", () => ask({ do: "drop", name: nameNow() }));
    gone.ariaLabel = "Remove this class";
    const upload = button("Upload", "Pictures from files", () => files.click());
    row.node = make("div", { className: "teach-class" }, row.name, row.take, upload, files, row.count, row.strip, gone);
    return row;
  }

  // A click is one picture; held by the mouse or a finger, it is four a second. Keys make clicks without a pointer.
  function holdable(node, action) {
    let timer;
    const end = () => clearTimeout(timer);
    const repeat = () => {
      if (!el.isConnected) return;
      action();
      timer = setTimeout(repeat, EVERY);
    };
    node.onpointerdown = () => {
      end();
      action();
      timer = setTimeout(repeat, HELD);
    };
    node.onpointerup = node.onpointerleave = node.onpointercancel = end;
    node.onclick = (event) => event.detail === 0 && action();
  }

  function drawClasses() {
    while (rows.length > state.classes.length) rows.pop().node.remove();
    state.classes.forEach(({ name, pictures }, i) => {
      if (!rows[i]) list.append((rows[i] = newRow(i)).node);
      const row = rows[i];
      const shown = JSON.stringify([name, pictures, pictures.map(([number]) => number in thumbnails)]);
      if (row.shown === shown) return; // and keep the focus where it is
      row.shown = shown;
      row.name.value = name;
      row.take.ariaLabel = `Take a picture of ${name}`;
      row.count.textContent = pictures.length;
      row.strip.ariaLabel = `Pictures of ${name}`;
      row.strip.replaceChildren(...pictures.map(([number, part], place) => thumbnail(number, place, name, PARTS[part], part)));
      if (stream) row.strip.scrollLeft = row.strip.scrollWidth;
    });
  }

  function thumbnail(number, place, name, words, part) {
    const image = make("img", { src: thumbnails[number], alt: `${name} ${place + 1}, ${words}` });
    const node = make("button", { type: "button", className: `teach-${part}`, title: words, tabIndex: place ? -1 : 0 }, image);
    node.onclick = () => choose(number);
    node.onkeydown = ({ key }) => (key === "Delete" || key === "Backspace") && drop(number);
    return node;
  }

  function alongStrip({ key, target }) {
    const next = { ArrowRight: target.nextSibling, ArrowLeft: target.previousSibling }[key];
    next?.focus();
  }

  function drop(number) {
    if (chosen === number) choose(null);
    ask({ do: "remove", number });
  }

  // ---- Below: how deep, train, what came out, save
  const depth = make("input", { type: "range", min: 1, value: 1, ariaLabel: "Trained groups, counted from the head" });
  const blocks = make("span", { className: "teach-blocks" });
  const train = button("Train", "", () => ask({ do: "train", groups: Number(depth.value) }));
  const stop = button("Stop", "", () => ask({ do: "stop" }));
  const status = make("p", { role: "status" });
  const verdict = make("p");
  const rounds = make("div", { className: "teach-bars" });
  const mistakes = make("div", { className: "teach-mistakes" });
  const file = make("input", { value: "my_classifier", ariaLabel: "Name of the file" });
  const save = button("Save", "Into the folder outputs", () => ask({ do: "save", file: file.value }));
  depth.oninput = drawDepth;
  train.classList.add("teach-main");
  const below = make(
    "section",
    { className: "teach-below", ariaLabel: "Train" },
    make("div", { className: "teach-row" }, "Train the last", depth, blocks, train, stop),
    status,
    make(
      "div",
      { className: "teach-result" },
      make("div", {}, verdict, rounds, make("div", { className: "teach-row" }, file, save)),
      mistakes,
    ),
  );

  function drawDepth() {
    const groups = Number(depth.value);
    depth.ariaValueText = groups === 1 ? "the head alone" : `the last ${groups} groups`;
    blocks.replaceChildren(
      ...state.groups.map((name, i) => {
        const trained = i >= state.groups.length - groups;
        const title = trained ? "trained" : "frozen";
        return make("span", { textContent: name, className: `teach-${title}`, title });
      }),
    );
  }

  function drawResult({ epoch, epochs, lacks, message, result }) {
    const training = epoch !== null;
    train.disabled = training || lacks !== "";
    stop.hidden = !training;
    save.disabled = file.disabled = training || !result;
    const progress = epoch ? `Epoch ${epoch} of ${epochs} …` : "Training the head …";
    const old = result?.outdated ? "Pictures have changed since the last training: train again." : "";
    tell(message || (training ? progress : lacks || old));
    if (!result) return;
    verdict.textContent = result.verdict;
    rounds.replaceChildren(
      ...result.rounds.map(({ name, right, of, seconds }) => {
        const row = bar(make("i", { style: `width: ${(100 * right) / of}%` }));
        row.children[0].textContent = name;
        row.children[2].textContent = `${right} of ${of}, ${seconds.toFixed(1)} s`;
        row.ariaLabel = `${name}: ${row.children[2].textContent}`;
        row.ariaValueNow = Math.round((100 * right) / of);
        return row;
      }),
    );
    const shown = result.mistakes.filter(({ number }) => thumbnails[number]);
    mistakes.replaceChildren(
      make("span", { textContent: shown.length ? "Its surest mistakes:" : "No mistake among them." }),
      ...shown.map(({ number, label, answer, sure }) => {
        const image = make("img", { src: thumbnails[number], alt: "" });
        const said = make("strong", { textContent: `${Math.round(100 * sure)}% ${answer}` });
        const node = make("button", { type: "button" }, image, said, make("span", { textContent: `is ${label}` }));
        node.onclick = () => choose(number);
        return node;
      }),
    );
  }

  const tell = (text) => (status.textContent = text);

  // ---- Messages
  function received(message) {
    if (message.answer) {
      waiting = false;
      answer(message.answer);
      setTimeout(watch, 100);
      return;
    }
    const trained = state.result && JSON.stringify(state.result.rounds);
    state = message;
    Object.assign(thumbnails, state.thumbnails);
    depth.max = state.groups.length;
    drawClasses();
    drawDepth();
    drawResult(state);
    waiting = false; // a question that failed has no answer
    if (state.result && JSON.stringify(state.result.rounds) !== trained) choose(chosen); // ask the new network
    else watch();
  }

  el.classList.add("teach");
  el.append(left, right, below);
  look();
  model.on("msg:custom", received);
  ask({ do: "hello" });
  return () => {
    model.off("msg:custom", received);
    stopCamera();
  };
}

export default { render };
