// The first page: takes the token out of the address, asks for a code, checks it. Nothing is sent before the button is pressed.
"use strict";
(() => {
  const settings = JSON.parse(document.getElementById("settings").textContent);
  const words = settings.words;
  const byId = (id) => document.getElementById(id);
  const problem = byId("problem");
  let waitUntil = 0;

  function show(view) {
    for (const part of document.querySelectorAll("[data-view]")) part.hidden = part.dataset.view !== view;
  }
  function say(title, step, kind = "bad") {
    problem.className = `alert ${kind}`;
    problem.querySelector("strong").textContent = title;
    problem.querySelector("p").textContent = step || "";
    problem.hidden = !title;
  }
  async function call(path, body) {
    let answer;
    try {
      answer = await fetch(settings.prefix + path, {
        method: body === undefined ? "GET" : "POST",
        headers: body === undefined ? {} : { "Content-Type": "application/json", "X-Consilium": "1" },
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "same-origin", cache: "no-store", referrerPolicy: "no-referrer",
      });
    } catch {
      return { ok: false, title: words.no_connection, step: words.no_connection_step };
    }
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return { ok: true, ...said };
    const many = answer.status === 429 && !said.retry_after_s;
    return {
      ok: false, code: said.code, wait: said.retry_after_s,
      title: said.title || words.fault,
      step: [said.detail, many ? words.wait_step : said.next_step || words.fault_step].filter(Boolean).join(" "),
    };
  }
  function hint(value) {
    if (value) sessionStorage.setItem("consilium-hint", value);
    const known = sessionStorage.getItem("consilium-hint") || "";
    for (const place of document.querySelectorAll(".hint-value")) place.textContent = known.replace(/[^0-9]/g, "") || known;
    byId("ask-known").hidden = !known;
    byId("ask-unknown").hidden = Boolean(known);
    byId("code-to").hidden = !known;
  }
  function refused(told) {
    sessionStorage.clear();
    say(told.title, told.step);
    show("refused");
  }
  function waitFor(seconds) {
    waitUntil = Date.now() + seconds * 1000;
    tick();
  }
  function tick() {
    const left = Math.ceil((waitUntil - Date.now()) / 1000);
    byId("again").disabled = left > 0;
    byId("again-wait").hidden = left <= 0;
    byId("again-wait").textContent = words.again_in.replace("{seconds}", String(left));
    if (left > 0) setTimeout(tick, 500);
  }
  async function ask(button) {
    button.disabled = true;
    say("");
    const told = await call("/api/code", {});
    button.disabled = false;
    if (told.ok || told.wait) {
      const again = sessionStorage.getItem("consilium-sent");
      sessionStorage.setItem("consilium-sent", "1");
      show("code");
      byId("code").focus();
      waitFor(told.ok ? 30 : told.wait);
      if (!told.ok && !again) say(told.title, told.step, "info");
      else if (!told.ok) say(told.title, told.step, "warn");
      else if (again) say(words.sent, "", "good");
    } else if (told.code === "link_refused") refused(told);
    else say(told.title, told.step);
  }
  byId("ask").addEventListener("click", (event) => ask(event.currentTarget));
  byId("again").addEventListener("click", (event) => ask(event.currentTarget));
  byId("code-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const code = byId("code").value.trim();
    if (!/[0-9]/.test(code)) {
      say(words.type_code, words.type_code_step);
      byId("code").focus();
      return;
    }
    byId("verify").disabled = true;
    const told = await call("/api/verify", { code });
    byId("verify").disabled = false;
    if (told.ok) {
      sessionStorage.clear();
      location.replace(told.next);
    } else if (told.code === "link_refused") refused(told);
    else {
      say(told.title, told.step);
      byId("code").select();
    }
  });

  async function begin() {
    say("");
    const token = location.hash.slice(1);
    if (token) {
      history.replaceState(null, "", location.pathname + location.search);
      sessionStorage.clear();
      const told = await call("/api/link", { token });
      if (!told.ok && told.code !== "link_refused" && told.code !== "invalid") {
        say(told.title, told.step);
        show("refused");
        return;
      }
      if (!told.ok) return refused(told);
      hint(told.channel_hint);
      show("ask");
      return;
    }
    const told = await call("/api/state");
    if (!told.ok) say(told.title, told.step);
    if (told.step === "case") location.replace(settings.prefix + "/case");
    else if (told.step === "code") {
      hint("");
      show(sessionStorage.getItem("consilium-sent") ? "code" : "ask");
    } else show("none");
  }
  window.addEventListener("hashchange", begin);
  begin();
})();
