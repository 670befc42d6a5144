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

// Filter: a row or a column that is about methods is shown where all of them are chosen, one about a class where that is.
const filter = document.querySelector(".filter");
const chosen = { methods: null, class: "" };

function admits(node) {
  const { methods, class: one } = node.dataset;
  if (chosen.methods && methods && !methods.split(" ").every((method) => chosen.methods.has(method))) return false;
  return chosen.class === "" || one === undefined || one === chosen.class;
}

function sift() {
  for (const table of document.querySelectorAll("table")) {
    const heads = [...table.tHead.rows[0].cells].map(admits);
    let left = 0;
    for (const row of table.rows) {
      [...row.cells].forEach((cell, k) => (cell.hidden = !heads[k]));
      if (row.parentElement === table.tHead) continue;
      row.hidden = !admits(row);
      left += !row.hidden;
    }
    table.closest("figure").querySelector(".nothing").hidden = left > 0 || !table.tBodies[0].rows.length;
  }
  for (const tile of document.querySelectorAll(".tile")) tile.hidden = !admits(tile);
}

if (filter) {
  const boxes = [...filter.querySelectorAll("input")];
  const choice = filter.querySelector(".class");
  const change = () => {
    const kept = boxes.filter((box) => box.checked);
    chosen.methods = kept.length === boxes.length ? null : new Set(kept.map((box) => box.value));
    chosen.class = choice?.value ?? "";
    const parts = [];
    if (chosen.methods) parts.push(`${kept.length} of ${boxes.length} methods`);
    if (chosen.class) parts.push(`class ${choice.selectedOptions[0].text}`);
    filter.querySelector("[role=status]").textContent = parts.join(", ") || "everything is shown";
    sift();
  };
  const all = (checked) => () => {
    for (const box of boxes) box.checked = checked;
    change();
  };
  filter.addEventListener("change", change);
  filter.querySelector(".all")?.addEventListener("click", all(true));
  filter.querySelector(".none")?.addEventListener("click", all(false));
  // What a browser filled in again when the page was reloaded.
  addEventListener("pageshow", change);
}

// Values: the point of a figure that is nearest to the pointer, or that the arrow keys lead to, is marked and said.
const REACH = 24;

function linesOf(figure) {
  const data = figure?.querySelector("script.values");
  return data && JSON.parse(data.textContent).lines;
}

function point(keyboard, image, said, lines) {
  const box = element("span", { className: "pointed" });
  const mark = element("span", { className: "mark", hidden: true });
  image.replaceWith(box);
  box.append(image, mark);
  const before = said.innerHTML;
  let [line, place] = [0, -1];

  function inside() {
    // The picture itself, without the white rim around it.
    const { left, top } = box.getBoundingClientRect();
    const style = getComputedStyle(image);
    const [x, y] = [parseFloat(style.paddingLeft), parseFloat(style.paddingTop)];
    return { left: left + x, top: top + y, x, y, width: image.clientWidth - 2 * x, height: image.clientHeight - 2 * y };
  }

  function show(found) {
    mark.hidden = !found;
    if (!found) return void (said.innerHTML = before);
    const { name, x, y, points } = found;
    const [across, down, first, second] = points[place];
    const where = inside();
    mark.style.left = `${where.x + across * where.width}px`;
    mark.style.top = `${where.y + down * where.height}px`;
    const parts = [[x, first], [y, second]].map(([axis, value]) => [axis, value].filter(Boolean).join(" "));
    said.textContent = [name, parts.join(", ")].filter(Boolean).join(": ");
  }

  box.addEventListener("pointermove", (event) => {
    const where = inside();
    let nearest = REACH;
    let found = null;
    lines.forEach((one, k) => {
      one.points.forEach(([across, down], n) => {
        const far = Math.hypot(
          where.left + across * where.width - event.clientX, where.top + down * where.height - event.clientY,
        );
        if (far < nearest) [nearest, found, line, place] = [far, one, k, n];
      });
    });
    show(found);
  });
  box.addEventListener("pointerleave", () => show(null));
  keyboard.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    line = (line + step[0] + lines.length) % lines.length;
    place = Math.max(0, Math.min(step[0] && place < 0 ? 0 : place + step[1], lines[line].points.length - 1));
    show(lines[line]);
  });
}

for (const data of document.querySelectorAll("script.values")) {
  const figure = data.closest("figure");
  point(figure.querySelector(".enlarge"), figure.querySelector("img"), figure.querySelector(".value"), linesOf(figure));
}

// Figures enlarge in a dialog, which by itself keeps the focus, closes with Escape and gives the focus back.
const dialog = document.getElementById("enlarged");

document.addEventListener("click", (event) => {
  const button = event.target.closest(".enlarge");
  if (!button) return;
  const picture = button.querySelector(".picture, img").cloneNode(true);
  const place = dialog.querySelector(".enlarged-picture");
  place.replaceChildren(picture);
  const said = document.getElementById("enlarged-value");
  said.textContent = "";
  const lines = linesOf(button.closest("figure"));
  if (lines) point(dialog.querySelector("form button"), picture, said, lines);
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

function tile(title, method) {
  const base = element("img", { className: "base", alt: "" });
  const paint = element("img", { className: "paint", alt: "" });
  const note = element("span", { className: "note" });
  const picture = element("span", { className: "picture" }, base, paint);
  const button = element("button", { type: "button", className: "enlarge", title: "Enlarge" }, picture);
  button.ariaHasPopup = "dialog";
  const caption = element("figcaption", {}, element("b", { textContent: title }), " ", note);
  const node = element("figure", { className: "tile" }, button, caption);
  if (method !== undefined) node.dataset.methods = method;
  node.hidden = !admits(node);
  return { node, button, base, paint, note };
}

function fill(tile, base, paint, alt, note) {
  tile.button.hidden = base === null;
  tile.note.textContent = base === null ? "not stored" : note;
  if (base === null) return;
  // Maps are PNGs, which begin so; images are JPEGs.
  tile.base.src = `data:image/${base.startsWith("iVBOR") ? "png" : "jpeg"};base64,${base}`;
  tile.paint.hidden = paint === null;
  if (paint !== null) tile.paint.src = `data:image/png;base64,${paint}`;
  (paint === null ? tile.base : tile.paint).alt = alt;
}

function browse(root) {
  const { axis, positions, cases, images } = JSON.parse(root.querySelector("script").textContent);
  const [choice, slider, depth, status, legend, tiles] = [
    ".case", ".position", ".slice", ".status", ".legend", ".tiles",
  ].map((name) => root.querySelector(name));
  let it, input, label, rows;

  function choose() {
    it = cases[choice.value];
    [input, label] = images ? [tile("Real image"), tile("Label map")] : [tile("Input"), tile("Ground truth")];
    rows = it.rows.map(([name, , method]) => tile(name, method));
    const given = images ? [label, input] : [input, label];
    tiles.replaceChildren(...[...given, ...rows].map((made) => made.node));
    legend.replaceChildren(
      ...it.legend.map(([color, text]) => {
        const swatch = element("span", { className: "swatch" });
        swatch.style.backgroundColor = color;
        return element("li", {}, swatch, text);
      }),
    );
    depth.parentElement.hidden = it.slices.length < 2;
    depth.max = it.slices.length - 1;
    depth.value = it.first;
    move();
  }

  function move() {
    const place = Number(slider.value);
    const level = Number(depth.value);
    const where = { "σ": `σ = ${positions[place]}`, steps: `${positions[place]} steps` }[axis] ?? "";
    const shown = it.inputs[place]?.[level] ?? null;
    slider.ariaValueText = where;
    depth.ariaValueText = it.slices[level];
    status.textContent = [it.dataset, it.name, it.slices[level], where].filter(Boolean).join(", ");
    const noise = axis === "σ" ? where : "";
    fill(input, shown, null, [images ? "Real image" : "Input", it.name, noise].filter(Boolean).join(", "), noise);
    if (images) fill(label, it.label[level], null, `Label map, ${it.name}`, "");
    else fill(label, shown, it.label[level], `Ground truth, ${it.name}`, "");
    it.rows.forEach(([name, cells], k) => {
      const [paint, dsc] = cells[place] ?? [null, ""];
      if (images) return fill(rows[k], paint?.[level] ?? null, null, `Image made by ${name}, ${it.name}`, dsc);
      const note = dsc && `DSC ${dsc}`;
      const alt = `${name}: ${note || "prediction"}, errors in colour`;
      fill(rows[k], cells[place] ? shown : null, paint?.[level] ?? null, alt, note);
    });
  }

  choice.addEventListener("change", choose);
  slider.addEventListener("input", move);
  depth.addEventListener("input", move);
  choose();
}

document.querySelectorAll(".browser").forEach(browse);

// A case of a table is shown where the pictures are, and the keyboard goes there with it.
for (const button of document.querySelectorAll(".open")) {
  button.addEventListener("click", () => {
    const browser = document.getElementById(button.dataset.browser);
    const choice = browser.querySelector(".case");
    choice.value = button.dataset.case;
    choice.dispatchEvent(new Event("change"));
    browser.scrollIntoView();
    choice.focus({ preventScroll: true });
  });
}
