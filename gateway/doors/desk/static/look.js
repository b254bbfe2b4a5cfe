"use strict";
// Drawing places on a picture: by mouse, finger or keys. The numbers in the form are what is sent; the page works with them alone.

document.addEventListener("DOMContentLoaded", () => {
  const stage = document.querySelector("[data-stage]");
  const rows = document.querySelector("[data-places]");
  const sheet = stage && stage.querySelector("svg");
  if (sheet && rows) drawing(stage, sheet, rows);
});

function drawing(stage, sheet, rows) {
  const wide = sheet.viewBox.baseVal.width;
  const high = sheet.viewBox.baseVal.height;
  const toggle = stage.querySelector("[data-draw]");
  const places = new Map(); // a row of numbers -> its rectangle
  const sides = ["left", "top", "width", "height"];
  const inputs = (row) => sides.map((side) => row.querySelector(`input[name=${side}]`));
  const clamp = (value, low, top) => Math.min(Math.max(value, low), top);
  const grip = Math.max(wide, high) / 40;

  const read = (row) => {
    const texts = inputs(row).map((input) => input.value.trim());
    return texts.every((text) => /^\d{1,6}$/.test(text)) ? texts.map(Number) : null;
  };
  const write = (row, [left, top, width, height]) => {
    const w = clamp(Math.round(width), 1, wide);
    const h = clamp(Math.round(height), 1, high);
    const box = [clamp(Math.round(left), 0, wide - w), clamp(Math.round(top), 0, high - h), w, h];
    inputs(row).forEach((input, index) => { input.value = box[index]; });
    show(row);
  };
  const show = (row) => {
    const box = read(row);
    let mark = places.get(row);
    if (!box) {
      if (mark) mark.remove();
      places.delete(row);
    } else {
      if (!mark) {
        mark = document.createElementNS(sheet.namespaceURI, "rect");
        mark.setAttribute("class", "drawn");
        mark.setAttribute("tabindex", "0");
        mark.setAttribute("role", "button"); // it takes keys: a screen reader has to hand them on
        mark.setAttribute("aria-describedby", "look-keys");
        sheet.append(mark);
        places.set(row, mark);
      }
      ["x", "y", "width", "height"].forEach((name, index) => mark.setAttribute(name, box[index]));
    }
    number();
  };
  // A row and its rectangle bear the same number, which is the row's.
  const number = () => {
    [...rows.querySelectorAll(".place")].forEach((row, index) => {
      const name = stage.dataset.names.replace("{number}", index + 1);
      row.setAttribute("aria-label", name);
      places.get(row)?.setAttribute("aria-label", name);
    });
  };
  const rowOf = (mark) => [...places].find(([, one]) => one === mark)?.[0];
  const drop = (row) => {
    inputs(row).forEach((input) => { input.value = ""; });
    show(row);
  };
  const freeRow = () => {
    const empty = [...rows.querySelectorAll(".place")].find((row) => inputs(row).every((input) => !input.value.trim()));
    if (empty) return empty;
    const add = rows.nextElementSibling;
    const before = document.activeElement;
    if (!add || add.hidden) return null;
    add.click();
    if (before && before.focus) before.focus({ preventScroll: true });
    return rows.querySelector(".place:last-of-type");
  };
  const at = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(sheet.getScreenCTM().inverse());
    return [clamp(point.x, 0, wide), clamp(point.y, 0, high)];
  };

  const setDrawing = (on) => {
    stage.classList.toggle("on", on);
    toggle.setAttribute("aria-pressed", String(on));
  };
  toggle.hidden = false;
  toggle.addEventListener("click", () => setDrawing(!stage.classList.contains("on")));
  setDrawing(matchMedia("(pointer: fine)").matches);

  let hold = null;
  sheet.addEventListener("pointerdown", (event) => {
    if (!stage.classList.contains("on") || event.button > 0 || hold) return;
    const [x, y] = at(event);
    const row = event.target.classList.contains("drawn") ? rowOf(event.target) : null;
    if (row) {
      const box = read(row);
      const corner = x > box[0] + box[2] - grip && y > box[1] + box[3] - grip;
      hold = { id: event.pointerId, row, box, x, y, way: corner ? "size" : "move" };
    } else {
      hold = { id: event.pointerId, row: null, x, y, way: "new" };
    }
    sheet.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  sheet.addEventListener("pointermove", (event) => {
    if (!hold || event.pointerId !== hold.id) return;
    const [x, y] = at(event);
    if (hold.way === "new") {
      if (!hold.row && Math.abs(x - hold.x) + Math.abs(y - hold.y) < grip / 4) return;
      if (!hold.row) hold.row = freeRow();
      if (!hold.row) return;
      write(hold.row, [Math.min(x, hold.x), Math.min(y, hold.y), Math.abs(x - hold.x), Math.abs(y - hold.y)]);
    } else if (hold.way === "move") {
      write(hold.row, [hold.box[0] + x - hold.x, hold.box[1] + y - hold.y, hold.box[2], hold.box[3]]);
    } else {
      write(hold.row, [hold.box[0], hold.box[1], Math.min(hold.box[2] + x - hold.x, wide - hold.box[0]),
        Math.min(hold.box[3] + y - hold.y, high - hold.box[1])]);
    }
  });
  const end = (event) => {
    if (!hold || event.pointerId !== hold.id) return;
    const mark = hold.row && places.get(hold.row);
    hold = null;
    if (mark) mark.focus({ preventScroll: true });
  };
  sheet.addEventListener("pointerup", end);
  sheet.addEventListener("pointercancel", end);

  sheet.addEventListener("keydown", (event) => {
    const row = rowOf(event.target);
    if (!row) return;
    const box = read(row);
    const step = event.ctrlKey ? 1 : Math.max(1, Math.round(wide / 100));
    const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key === "Delete" || event.key === "Backspace") {
      drop(row);
      inputs(row)[0].focus({ preventScroll: true });
    } else if (ways[event.key]) {
      const [dx, dy] = ways[event.key];
      write(row, event.shiftKey ? [box[0], box[1], box[2] + dx, box[3] + dy] : [box[0] + dx, box[1] + dy, box[2], box[3]]);
    } else {
      return;
    }
    event.preventDefault();
  });
  rows.addEventListener("input", (event) => {
    const row = event.target.closest(".place");
    if (row) show(row);
  });
  rows.addEventListener("click", () => {
    for (const [row, mark] of [...places]) {
      if (!row.isConnected) {
        mark.remove();
        places.delete(row);
      }
    }
    number();
  });
  for (const row of rows.querySelectorAll(".place")) show(row);
}
