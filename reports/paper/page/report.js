"use strict";

// Tables: a click on the head of a column sorts by it, another turns the order round; cells without a value stay last.
const words = new Intl.Collator("en", { numeric: true });

function compare(first, second, direction) {
  const keys = [first.dataset.sort, second.dataset.sort];
  const texts = [first, second].map((cell) => cell.textContent.trim());
  const empty = texts.map((text, k) => (keys[k] === undefined ? text === "" || text === "–" : keys[k] === ""));
  if (empty[0] || empty[1]) return empty[0] - empty[1];
  return direction * (keys[0] === undefined ? words.compare(...texts) : keys[0] - keys[1]);
}

function sortBy(head) {
  const body = head.closest("table").tBodies[0];
  const ascending = head.ariaSort !== "ascending";
  for (const other of head.parentElement.cells) other.ariaSort = "none";
  head.ariaSort = ascending ? "ascending" : "descending";
  const rows = [...body.rows];
  rows.sort((a, b) => compare(a.cells[head.cellIndex], b.cells[head.cellIndex], ascending ? 1 : -1));
  body.append(...rows);
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}

// A table wider than its box can be moved with the arrow keys; one that fits needs no stop for the keyboard.
const fits = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
document.querySelectorAll(".scroll").forEach((box) => fits.observe(box));

// Where the contents stand above the report, they would push it off the screen.
if (matchMedia("(max-width: 75rem)").matches) document.querySelector("#contents details").open = false;

// Figures enlarge in a dialog, which by itself keeps the focus, closes with Escape and gives the focus back.
const dialog = document.getElementById("enlarged");

document.addEventListener("click", (event) => {
  const button = event.target.closest(".enlarge");
  if (!button) return;
  const picture = button.firstElementChild.cloneNode(true);
  dialog.querySelector(".enlarged-picture").replaceChildren(picture);
  // A picture of a case is as large as the window admits; a tall figure may be scrolled.
  const base = button.querySelector(".base");
  if (base) picture.style.width = `min(88vw, ${(72 * base.naturalWidth) / base.naturalHeight}vh)`;
  const caption = button.closest("figure").querySelector("figcaption").cloneNode(true);
  caption.querySelectorAll(".links").forEach((links) => links.remove());
  document.getElementById("enlarged-caption").replaceChildren(...caption.childNodes);
  dialog.showModal();
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

// Moving figures stand still for those who asked their system for that, and for all who stop them.
for (const button of document.querySelectorAll(".pause")) {
  const image = button.closest("figure").querySelector("img");
  const moving = image.src;
  const pause = (paused) => {
    image.src = paused ? image.dataset.still : moving;
    button.ariaPressed = String(paused);
  };
  button.addEventListener("click", () => pause(button.ariaPressed !== "true"));
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) pause(true);
}

// Dark or light: the system's choice until the reader makes one, which is kept where the browser allows.
const dark = document.getElementById("dark");
const system = matchMedia("(prefers-color-scheme: dark)");

function kept(scheme) {
  try {
    if (scheme) localStorage.setItem("color-scheme", scheme);
    return localStorage.getItem("color-scheme");
  } catch {
    return scheme;
  }
}

function paint() {
  const chosen = document.documentElement.style.colorScheme;
  dark.ariaPressed = String(chosen ? chosen === "dark" : system.matches);
}

dark.addEventListener("click", () => {
  document.documentElement.style.colorScheme = dark.ariaPressed === "true" ? "light" : "dark";
  kept(document.documentElement.style.colorScheme);
  paint();
});
system.addEventListener("change", paint);
document.documentElement.style.colorScheme = kept() ?? "";
paint();

// Test cases: for one case and one position of the slider the input, the ground truth and what every method made of it.
function element(name, attributes, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

function tile(title) {
  const base = element("img", { className: "base", alt: "" });
  const paint = element("img", { className: "paint", alt: "" });
  const note = element("span", { className: "note" });
  const picture = element("span", { className: "picture" }, base, paint);
  const button = element("button", { type: "button", className: "enlarge", title: "Enlarge" }, picture);
  button.ariaHasPopup = "dialog";
  const caption = element("figcaption", {}, element("b", { textContent: title }), " ", note);
  return { node: element("figure", { className: "tile" }, button, caption), button, base, paint, note };
}

function fill(tile, base, paint, alt, note) {
  tile.button.hidden = base === null;
  tile.note.textContent = base === null ? "not stored" : note;
  if (base === null) return;
  tile.base.src = `data:image/jpeg;base64,${base}`;
  tile.paint.hidden = paint === null;
  if (paint !== null) tile.paint.src = `data:image/png;base64,${paint}`;
  (paint === null ? tile.base : tile.paint).alt = alt;
}

function browse(root) {
  const { axis, positions, cases } = JSON.parse(root.querySelector("script").textContent);
  const [choice, slider, status, legend, tiles] = [".case", ".position", ".status", ".legend", ".tiles"].map(
    (name) => root.querySelector(name),
  );
  let it, input, label, rows;

  function choose() {
    it = cases[choice.value];
    [input, label] = [tile("Input"), tile("Ground truth")];
    rows = it.rows.map(([name]) => tile(name));
    tiles.replaceChildren(...[input, label, ...rows].map((made) => made.node));
    legend.replaceChildren(
      ...it.legend.map(([color, text]) => {
        const swatch = element("span", { className: "swatch" });
        swatch.style.backgroundColor = color;
        return element("li", {}, swatch, text);
      }),
    );
    move();
  }

  function move() {
    const place = Number(slider.value);
    const where = { "σ": `σ = ${positions[place]}`, steps: `${positions[place]} steps` }[axis] ?? "";
    const shown = it.inputs[place];
    slider.ariaValueText = where;
    status.textContent = [it.dataset, it.name, where].filter(Boolean).join(", ");
    const noise = axis === "σ" ? where : "";
    fill(input, shown, null, ["Input", it.name, noise].filter(Boolean).join(", "), noise);
    fill(label, shown, it.label, `Ground truth, ${it.name}`, "");
    it.rows.forEach(([name, cells], k) => {
      const [paint, dsc] = cells[place] ?? [null, ""];
      const note = dsc && `DSC ${dsc}`;
      fill(rows[k], cells[place] ? shown : null, paint, `${name}: ${note || "prediction"}, errors in colour`, note);
    });
  }

  choice.addEventListener("change", choose);
  slider.addEventListener("input", move);
  choose();
}

document.querySelectorAll(".browser").forEach(browse);
