// What computes the answers is `backend`, from the script before this one:
//   batch            how many files it takes at once
//   classify(files)  promises, in order, [{predictions: [{class, probability}], distance} or {error}]
//   explain(file, name, tell)  promises {picture: Blob, caption}, and tells how far it is; without a
//                    caption, the picture has text of its own; absent if it cannot
//   ready            promises that it can begin; its progress is text for `say`

const answers = document.getElementById("answers");
const waiting = [];
let working = false;
let done = 0; // of those that are on the page, since work began
let failed = 0;

function say(text) {
  document.getElementById("status").textContent = text;
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const percent = (probability) => `${(100 * probability).toFixed(1)}%`;

// The newest stand first: who takes one photograph after the other need not look for the answer.
function add(files) {
  if (!files.length) {
    say("That holds no file. A picture of another page has to be saved first.");
    return;
  }
  const cards = [...files].map((file) => {
    const picture = make("img", { className: "thumb", alt: "", src: URL.createObjectURL(file) });
    picture.addEventListener("error", () => picture.remove(), { once: true });
    const result = make("div", { className: "result" }, make("p", { className: "note" }, "waiting …"));
    const side = make("div", {}, picture, make("p", { className: "name" }, file.name || "photograph"));
    const card = make("li", { className: "answer" }, side, result);
    waiting.push({ file, result, card });
    return card;
  });
  answers.prepend(...cards);
  document.getElementById("clear").hidden = !answers.children.length;
  work();
}

// A folder can be dropped, and a file can vanish: sent with others, it would take them with it.
const readable = (file) =>
  file.slice(0, 1).arrayBuffer().then(
    () => true,
    () => false,
  );

async function answer(files) {
  const found = await Promise.all(files.map(readable));
  const rest = files.filter((_, number) => found[number]);
  const results = rest.length
    ? await backend.classify(rest).catch((error) => rest.map(() => ({ error: error.message })))
    : [];
  const error = "This cannot be read: it is a folder, or the file was moved or changed.";
  return found.map((is) => (is ? results.shift() : { error }));
}

// One batch after the other, in order; what fails is said where its answer would be.
async function work() {
  if (working) return;
  working = true;
  done = failed = 0;
  try {
    await backend.ready;
    while (waiting.length) {
      const batch = waiting.splice(0, backend.batch);
      say(`Classifying … ${done} of ${done + batch.length + waiting.length} done`);
      const results = await answer(batch.map((item) => item.file));
      batch.forEach((item, number) => {
        if (!item.card.isConnected) return; // it was removed meanwhile
        show(item, results[number]);
        done += 1;
        failed += results[number].error ? 1 : 0;
      });
    }
    const named = done - failed;
    const rest = failed ? `, ${failed} without an answer` : "";
    if (done) say(`${named} ${named === 1 ? "photograph" : "photographs"} classified${rest}.`);
  } catch (error) {
    for (const item of waiting.splice(0)) show(item, { error: error.message });
    say(error.message);
  }
  working = false;
}

function show({ file, result, card }, { predictions, distance, error }) {
  if (error) {
    result.replaceChildren(make("h3", { className: "failed" }, "No answer"), make("p", {}, error));
    return;
  }
  const [best] = predictions;
  const unknown = distance > 1; // not if it is absent
  const sure = !unknown && best.probability >= data.threshold;
  const head = sure
    ? make("h3", {}, best.class)
    : make("h3", { className: "unsure" }, `Not sure: perhaps ${best.class}`);
  const why = unknown ? [make("p", { className: "note" }, "Unlike all that it was trained on.")] : [];
  const rows = predictions.map((one) => {
    const bar = make("td", { className: "bar" });
    bar.style.setProperty("--v", one.probability);
    return make("tr", {}, make("th", { scope: "row" }, one.class), bar, make("td", {}, percent(one.probability)));
  });
  const table = make("table", {}, make("tbody", {}, ...rows));
  table.setAttribute("aria-label", `Probabilities for ${file.name}`);
  result.replaceChildren(head, ...why, table);
  if (backend.explain) result.append(explainer(file, best.class, card));
}

// A picture with text that a phone would make too small to read.
function scrolled(image) {
  const scroll = make("div", { className: "scroll", tabIndex: 0 }, image);
  scroll.setAttribute("role", "group");
  scroll.setAttribute("aria-label", "Explanation");
  return scroll;
}

// A button that draws what the answer rests on at the first press, and then shows or hides it.
function explainer(file, name, card) {
  const titles = { false: "Show what this rests on", true: "Hide what this rests on" };
  const button = make("button", { className: "button quiet", type: "button" }, titles.false);
  const figure = make("figure", { hidden: true });
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", async () => {
    if (button.ariaDisabled === "true") return; // it draws
    if (!figure.children.length) {
      button.ariaDisabled = "true"; // really disabled, it would lose the focus
      button.textContent = "Drawing …";
      try {
        const tell = (text) => (button.textContent = text);
        const { picture, caption } = await backend.explain(file, name, tell);
        const image = make("img", {
          alt: `What the answer “${name}” rests on: the photograph, and over it how much each part matters`,
          src: URL.createObjectURL(picture),
        });
        figure.append(...(caption ? [image, make("figcaption", {}, caption)] : [scrolled(image)]));
        say("The explanation is there.");
      } catch (error) {
        figure.append(make("p", { className: "failed" }, error.message));
        say(error.message);
      }
      card.append(figure);
      button.ariaDisabled = "false";
    }
    figure.hidden = !figure.hidden;
    button.setAttribute("aria-expanded", String(!figure.hidden));
    button.textContent = titles[!figure.hidden];
    if (figure.querySelector(".failed") && figure.hidden) figure.replaceChildren(); // try again
  });
  return button;
}

for (const id of ["choose", "camera"]) {
  const input = document.getElementById(id);
  input.addEventListener("change", () => {
    add([...input.files]);
    input.value = ""; // so that the same file can be chosen again
  });
}
document.getElementById("clear").addEventListener("click", () => {
  for (const picture of answers.querySelectorAll("img")) URL.revokeObjectURL(picture.src);
  waiting.length = 0;
  done = failed = 0;
  answers.replaceChildren();
  document.getElementById("clear").hidden = true;
  document.getElementById("choose").focus();
  say("");
});
addEventListener("paste", (event) => add([...event.clipboardData.files]));
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    const inside = kind === "dragenter" || kind === "dragover";
    document.getElementById("place").classList.toggle("dropping", inside);
    if (kind === "drop") add([...event.dataTransfer.files]);
  });
}
