"use strict";
// While an answer is being written the session stays awake, and a page with unsent text asks before it is left.

document.addEventListener("DOMContentLoaded", () => {
  const awake = document.getElementById("awake");
  const form = document.getElementById("answer-form") || document.getElementById("sign-form");
  if (!awake || !form) return;
  const every = 4 * 60 * 1000;
  let told = Date.now();
  let changed = form.id === "sign-form";
  let sent = false;
  form.addEventListener("input", () => {
    changed = true;
    if (Date.now() - told < every) return;
    told = Date.now();
    fetch(awake.dataset.url, { headers: { Accept: "application/json" }, cache: "no-store" }).catch(() => {});
  });
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  addEventListener("pageshow", () => { sent = false; });
  addEventListener("beforeunload", (event) => {
    if (changed && !sent) event.preventDefault();
  });
});
