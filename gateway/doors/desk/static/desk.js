"use strict";
// The desk's small comforts: copying, live numbers, turning pages of a look, more rows. Every page works without it.

document.addEventListener("DOMContentLoaded", () => {
  copying();
  linkShownOnce();
  polling();
  looking();
  rowsThatGrow();
  busyButtons();
});

function copying() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
        button.textContent = button.dataset.copied;
        setTimeout(() => { button.textContent = label; }, 2000);
      } catch {
        const range = document.createRange();
        range.selectNodeContents(document.getElementById(button.dataset.copy));
        getSelection().removeAllRanges();
        getSelection().addRange(range);
      }
    });
  }
}

// The token came behind «#»: it is shown, and taken out of the address bar and the history at once.
function linkShownOnce() {
  const page = document.getElementById("link-page");
  const token = location.hash.slice(1);
  if (!page || !/^[0-9a-f]{64}$/.test(token)) return;
  history.replaceState(null, "", location.pathname);
  document.getElementById("link-address").textContent = page.dataset.start + token;
  document.getElementById("link-shown").hidden = false;
  document.getElementById("link-gone").hidden = true;
}

// Numbers change in place; when there is more than numbers, a line offers to show it. A hidden page does not ask.
function polling() {
  const news = document.querySelector("[data-poll]");
  if (!news) return;
  const format = new Intl.NumberFormat(document.documentElement.lang);
  const mine = document.getElementById("live");
  let version = mine ? mine.dataset.version : null;
  let wait = 2000;

  const fill = (place, numbers) => {
    for (const spot of place.querySelectorAll("[data-live]")) {
      const value = numbers[spot.dataset.live];
      if (typeof value !== "number") continue;
      const text = format.format(value);
      if (spot.textContent !== text) spot.textContent = text;
    }
    for (const bar of place.querySelectorAll("[data-live-bar]")) {
      bar.max = numbers.instances_received || 1;
      bar.value = numbers.instances_deidentified;
      bar.classList.toggle("good", numbers.instances_received > 0 && bar.value === bar.max);
    }
  };

  const ask = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(news.dataset.poll, { headers: { Accept: "application/json" }, cache: "no-store" });
        if (answer.status === 401 || answer.status === 403) {
          news.hidden = false;
          news.querySelector("span").textContent = news.dataset.signedOut;
          return;
        }
        if (answer.ok) {
          const told = await answer.json();
          if (told.cases) {
            for (const one of told.cases) {
              const card = document.querySelector(`[data-case="${one.ref}"]`);
              if (card) fill(card, one);
            }
          } else {
            fill(document, told);
          }
          if (version === null) version = told.version;
          const works = told.cases ? told.cases.some((one) => one.working > 0) : told.working > 0;
          if (told.version !== version) news.hidden = false;
          wait = works ? 1500 : Math.min(wait * 1.3, 15000);
        }
      } catch {
        wait = Math.min(wait * 2, 30000);
      }
    }
    setTimeout(ask, wait);
  };
  setTimeout(ask, 1000);
}

function looking() {
  for (const figure of document.querySelectorAll("[data-look]")) {
    const picture = figure.querySelector("img");
    const shown = figure.querySelector("[data-turned]");
    const none = figure.querySelector(".look-none");
    let at = 0;
    let last = (Number(figure.dataset.pages) || Infinity) - 1;
    const turn = (to) => {
      at = to;
      picture.src = `${figure.dataset.look}?n=${at}`;
      picture.parentElement.href = picture.src;
      shown.textContent = String(at + 1);
      for (const button of figure.querySelectorAll("[data-turn]")) {
        button.disabled = Number(button.dataset.turn) < 0 ? at === 0 : at >= last;
      }
    };
    const failed = () => {
      if (at > 0) {
        last = at - 1;
        turn(last);
      } else {
        picture.parentElement.hidden = true;
        none.hidden = false;
        figure.querySelector("figcaption").hidden = true;
      }
    };
    picture.addEventListener("error", failed);
    for (const button of figure.querySelectorAll("[data-turn]")) {
      button.disabled = Number(button.dataset.turn) < 0;
      button.addEventListener("click", () => turn(Math.max(0, at + Number(button.dataset.turn))));
    }
    if (picture.complete && picture.naturalWidth === 0 && picture.currentSrc) failed();
  }
}

function rowsThatGrow() {
  for (const rows of document.querySelectorAll("[data-rows]")) {
    const most = Number(rows.dataset.rows);
    const add = document.createElement("button");
    add.type = "button";
    add.className = "button secondary small";
    add.textContent = rows.dataset.add;
    const settle = () => {
      const all = rows.querySelectorAll(".row");
      add.hidden = all.length >= most;
      for (const row of all) row.querySelector(".row-remove").hidden = all.length < 2;
    };
    rows.addEventListener("click", (event) => {
      const button = event.target.closest(".row-remove");
      if (!button) return;
      button.closest(".row").remove();
      settle();
      (add.hidden ? rows.querySelector("input, select") : add).focus(); // what had the focus is gone
    });
    add.addEventListener("click", () => {
      const row = rows.querySelector(".row:last-of-type").cloneNode(true);
      for (const input of row.querySelectorAll("input")) input.value = "";
      rows.append(row);
      settle();
      row.querySelector("input, select").focus();
    });
    rows.after(add);
    settle();
  }
}

function busyButtons() {
  for (const form of document.querySelectorAll("form")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = "yes";
      const button = event.submitter;
      if (button && button.dataset.busy) {
        button.textContent = button.dataset.busy;
        button.setAttribute("aria-disabled", "true");
      }
    });
  }
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
}
