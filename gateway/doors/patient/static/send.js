// Sends files with tus-js-client: a queue of three at a time, each part with its SHA-256, resumable after a reload.
// No file name is kept in the browser: what is remembered is a digest of the file's name, size and time, and where it goes.
"use strict";
(() => {
  const settings = JSON.parse(document.getElementById("settings").textContent);
  const words = settings.words;
  const PART = 4 * 1024 * 1024;
  const AT_ONCE = 3;
  const FOLD_OVER = 8;
  const KEPT = "consilium-upload:";
  const DELAYS = [0, 1000, 2000, 4000, 8000, 15000, 30000, 30000, 60000, 60000, 60000];
  const JUNK = /^(\.|thumbs\.db$|desktop\.ini$|autorun\.inf$)/i;
  const byId = (id) => document.getElementById(id);
  const rows = [];
  const entries = [];
  const known = new Set();
  let cursor = 0; // no entry before it waits: a disc may have fifty thousand files
  let running = 0;
  let paused = false;
  let signedOut = false;
  let pace = { at: 0, sent: 0, rate: 0 };

  const number = new Intl.NumberFormat(settings.language, { maximumFractionDigits: 1 });
  function size(bytes) {
    const unit = [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]].find(([least]) => bytes >= least) || [1, "B"];
    return `${number.format(bytes / unit[0])}\u00a0${unit[1]}`;
  }
  function fill(text, values) {
    return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  }
  function make(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  // what a browser remembers of an upload, so that it can go on after a reload
  async function mark(file, path) {
    const text = JSON.stringify([settings.case, path, file.size, file.lastModified]);
    if (!globalThis.crypto || !crypto.subtle) return null;
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  const memory = {
    async findAllUploads() { return []; },
    async findUploadsByFingerprint(fingerprint) {
      try {
        const kept = localStorage.getItem(KEPT + fingerprint);
        return kept ? [{ ...JSON.parse(kept), urlStorageKey: KEPT + fingerprint }] : [];
      } catch { return []; }
    },
    async addUpload(fingerprint, upload) {
      const { size: bytes, creationTime, uploadUrl } = upload;
      try { localStorage.setItem(KEPT + fingerprint, JSON.stringify({ size: bytes, creationTime, uploadUrl, metadata: {}, parallelUploadUrls: null })); } catch { /* private mode */ }
      return KEPT + fingerprint;
    },
    async removeUpload(key) { try { localStorage.removeItem(key); } catch { /* private mode */ } },
  };
  function forgetAll() {
    try {
      for (const key of Object.keys(localStorage)) if (key.startsWith(KEPT)) localStorage.removeItem(key);
    } catch { /* private mode */ }
  }

  // every part carries its digest: what is damaged on the way is sent again
  const plainStack = new tus.DefaultHttpStack();
  const checkedStack = {
    getName: () => "checked",
    createRequest(method, url) {
      const request = plainStack.createRequest(method, url);
      if (method !== "PATCH" || !globalThis.crypto || !crypto.subtle) return request;
      const send = request.send.bind(request);
      const abort = request.abort.bind(request);
      let givenUp = false;
      request.abort = () => { givenUp = true; return abort(); };
      request.send = async (body) => {
        if (body && body.size <= PART) {
          const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await body.arrayBuffer()));
          if (givenUp) return new Promise(() => {});
          request.setHeader("Upload-Checksum", `sha256 ${btoa(String.fromCharCode(...digest))}`);
        }
        return send(body);
      };
      return request;
    },
  };

  function settle(entry, status) {
    if (entry.status === "running" && status !== "running") running -= 1;
    if (entry.status !== "running" && status === "running") running += 1;
    if (status === "waiting") cursor = 0;
    entry.status = status;
  }
  function begin(entry) {
    settle(entry, "running");
    const upload = new tus.Upload(entry.file, {
      endpoint: settings.endpoint,
      chunkSize: PART,
      retryDelays: DELAYS,
      httpStack: checkedStack,
      urlStorage: memory,
      fingerprint: () => mark(entry.file, entry.path),
      storeFingerprintForResuming: true,
      removeFingerprintOnSuccess: false,
      metadata: { filename: entry.path, filetype: entry.file.type || "application/octet-stream", category: entry.category },
      onAfterResponse(request, response) {
        entry.waiting = false;
        if (response.getStatus() === 401) {
          signedOut = true;
          throw new Error("signed out");
        }
      },
      onShouldRetry(error) {
        if (signedOut) return false;
        const status = error.originalResponse ? error.originalResponse.getStatus() : 0;
        entry.waiting = status === 0;
        refresh();
        return status === 0 || status >= 500 || [408, 409, 423, 429, 460].includes(status);
      },
      onProgress(sent) {
        entry.sent = sent;
        refresh();
      },
      onSuccess() {
        settle(entry, "done");
        entry.sent = entry.file.size;
        arrived(entry);
        next();
      },
      onError(error) {
        const status = error.originalResponse ? error.originalResponse.getStatus() : 0;
        settle(entry, signedOut ? "paused" : "failed");
        if (signedOut) {
          byId("signed-out").hidden = false;
          byId("signed-out").scrollIntoView({ block: "nearest" });
        } else if (status === 413) entry.error = [words.too_large, words.too_large_step];
        else if (status === 507) entry.error = [words.no_room, words.no_room_step];
        else if (status >= 500) entry.error = [words.no_service, words.no_service_step];
        else if (status === 0) {
          entry.error = [words.no_connection, words.no_connection_step];
          entry.offline = true;
        } else entry.error = [words.refused, words.refused_step];
        next();
      },
    });
    entry.upload = upload;
    upload.findPreviousUploads().then((found) => {
      if (found.length) upload.resumeFromPreviousUpload(found[0]);
      if (entry.status === "running") upload.start();
    });
  }
  function next() {
    if (!paused && !signedOut) {
      while (cursor < entries.length && running < AT_ONCE) {
        if (entries[cursor].status === "waiting") begin(entries[cursor]);
        cursor += 1;
      }
    }
    refresh();
  }
  function pause() {
    paused = true;
    for (const entry of entries) {
      if (entry.status === "running") {
        settle(entry, "paused");
        if (entry.upload) entry.upload.abort();
      }
    }
    next();
  }
  function goOn() {
    paused = false;
    for (const entry of entries) if (entry.status === "paused") settle(entry, "waiting");
    next();
  }
  function again(entry) {
    settle(entry, "waiting");
    entry.error = null;
    entry.offline = false;
    next();
  }
  function remove(row) {
    for (const entry of row.entries) {
      if (entry.upload && entry.status !== "done") {
        entry.upload.abort(true).catch(() => {});
        mark(entry.file, entry.path).then((key) => key && memory.removeUpload(KEPT + key));
      }
      settle(entry, "removed");
      known.delete(twin(entry));
    }
    cursor = 0;
    const left = entries.filter((entry) => entry.status !== "removed");
    entries.length = 0;
    for (const entry of left) entries.push(entry);
    rows.splice(rows.indexOf(row), 1);
    row.node.remove();
    next();
  }
  function arrived(entry) {
    const item = document.querySelector(`.needed [data-item="${entry.category}"]`);
    if (!item || item.classList.contains("received")) return;
    item.className = "received";
    const badge = item.querySelector(".badge");
    badge.className = "badge good";
    badge.textContent = words.arrived;
    item.querySelector("[data-send]").textContent = words.send_more;
    const missing = item.querySelector("form");
    if (missing) missing.remove();
  }

  // a file, or a whole folder, joins the list of what has arrived without a reload
  function list(row) {
    if (row.listed) return;
    row.listed = true;
    const card = byId("arrived");
    let place = card.querySelector("ul.fresh");
    if (!place) {
      place = make("ul", "plain-list fresh");
      const studies = card.querySelectorAll("ul.plain-list");
      (studies.length ? studies[studies.length - 1] : card.querySelector("h2")).after(place);
      const empty = card.querySelector(".empty");
      if (empty) empty.remove();
    }
    const line = make("li");
    line.append(make("span", "file-name", row.name), " ", make("span", "muted small", size(row.bytes)), " ", make("span", "badge good", words.arrived));
    place.append(line);
  }

  // choosing
  let chosenByHand = false;
  function choose(name, byHand) {
    const choice = document.querySelector(`input[name=category][value="${name}"]`);
    choice.checked = true;
    byId("example").textContent = choice.dataset.example;
    chosenByHand = chosenByHand || byHand;
  }
  function category() {
    return document.querySelector("input[name=category]:checked").value;
  }
  const twin = (entry) => JSON.stringify([entry.path, entry.file.size, entry.file.lastModified]);
  function take(found, folder) {
    const chosen = [];
    if (folder && !chosenByHand) choose("imaging", false);
    for (const one of found) {
      const path = one.path || one.file.webkitRelativePath || one.file.name;
      if (folder && JUNK.test(one.file.name)) continue;
      const entry = { file: one.file, path, category: category(), status: "waiting", sent: 0, error: null };
      if (one.file.size === 0) {
        if (folder) continue;
        entry.status = "failed";
        entry.final = true;
        entry.error = [words.empty, words.empty_step];
      } else if (one.file.size > settings.max_bytes) {
        entry.status = "failed";
        entry.final = true;
        entry.error = [words.too_large, words.too_large_step];
      }
      if (known.has(twin(entry))) continue;
      known.add(twin(entry));
      chosen.push(entry);
    }
    if (!chosen.length) return;
    if (chosen.length > FOLD_OVER) add(chosen, chosen[0].path.includes("/") ? chosen[0].path.split("/")[0] : "");
    else for (const entry of chosen) add([entry], "");
    const unfinished = byId("unfinished");
    if (unfinished) unfinished.hidden = true;
    byId("sending").hidden = false;
    next();
    byId("sending").scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
  function add(some, name) {
    const node = make("li");
    const headline = make("div", "file-head");
    const many = some.length > 1;
    const label = many ? [name, fill(words.folder, { count: some.length })].filter(Boolean).join(": ") : some[0].path;
    headline.append(make("span", "file-name", label));
    const bytes = some.reduce((sum, entry) => sum + entry.file.size, 0);
    const title = make("span");
    title.append(headline.firstChild, " ", make("span", "muted small", size(bytes)));
    headline.append(title);
    const status = make("span", "file-status");
    headline.append(status);
    const bar = make("progress");
    bar.max = bytes || 1;
    bar.setAttribute("aria-label", label);
    const error = make("p", "file-error small");
    error.hidden = true;
    const buttons = make("div", "buttons");
    const retry = make("button", "button quiet small", words.try_again);
    const drop = make("button", "button quiet small", words.remove);
    retry.type = drop.type = "button";
    buttons.append(retry, drop);
    node.append(headline, bar, error, buttons);
    const row = { entries: some, node, status, bar, error, retry, drop, bytes, name: label, listed: false };
    retry.addEventListener("click", () => row.entries.filter((entry) => entry.status === "failed" && !entry.final).forEach(again));
    drop.addEventListener("click", () => remove(row));
    rows.push(row);
    for (const entry of some) entries.push(entry);
    byId("list").append(node);
  }
  async function walk(entry, into, prefix) {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => { entry.file(resolve, reject); });
      into.push({ file, path: prefix + file.name });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
      if (!some.length) return;
      for (const one of some) await walk(one, into, `${prefix}${entry.name}/`);
    }
  }
  async function dropped(items) {
    const roots = Array.from(items, (item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    const found = [];
    for (const root of roots) await walk(root, found, "").catch(() => {});
    take(found, roots.some((root) => root.isDirectory));
  }

  // showing
  let drawing = false;
  function refresh() {
    if (drawing) return;
    drawing = true;
    const drawSoon = () => requestAnimationFrame(() => { drawing = false; draw(); });
    if (entries.length > 500) setTimeout(drawSoon, 300);
    else drawSoon();
  }
  function draw() {
    for (const row of rows) {
      const counts = { waiting: 0, running: 0, paused: 0, done: 0, failed: 0 };
      for (const entry of row.entries) counts[entry.status] += 1;
      const sent = row.entries.reduce((sum, entry) => sum + entry.sent, 0);
      const all = row.entries.length;
      const failed = row.entries.filter((entry) => entry.status === "failed");
      const done = counts.done === all;
      row.bar.value = sent;
      row.bar.className = done ? "good" : "";
      row.bar.hidden = failed.length === all;
      row.node.className = done ? "done" : failed.length ? "failed" : "";
      let text = words.waiting;
      if (done) text = `✓ ${words.arrived}`;
      else if (all > 1) text = fill(words.folder_done, { done: counts.done, count: all });
      else if (counts.failed) text = "";
      else if (counts.paused) text = words.paused;
      else if (row.entries.some((entry) => entry.status === "running" && entry.waiting)) text = words.retrying;
      else if (counts.running) text = fill(words.sending, { percent: Math.floor((100 * sent) / (row.bytes || 1)) });
      row.status.textContent = text;
      row.error.hidden = !failed.length;
      row.error.textContent = failed.length ? failed[0].error.join(" ") : "";
      row.retry.hidden = !failed.some((entry) => !entry.final);
      row.drop.hidden = done;
      if (done) list(row);
    }
    const all = entries.filter((entry) => !entry.final);
    const done = all.filter((entry) => entry.status === "done").length;
    const active = all.some((entry) => ["running", "waiting", "paused"].includes(entry.status));
    const bytes = all.reduce((sum, entry) => sum + entry.file.size, 0);
    const sent = all.reduce((sum, entry) => sum + entry.sent, 0);
    byId("total").max = bytes || 1;
    byId("total").value = sent;
    byId("total").className = all.length && done === all.length ? "good" : "";
    const text = done === all.length ? words.total_all : paused ? words.total_paused : words.total;
    const said = all.length ? fill(text, { done, count: all.length }) : "";
    if (byId("total-text").textContent !== said) byId("total-text").textContent = said;
    byId("total-left").textContent = running > 0 ? left(bytes, sent) : "";
    byId("pause").hidden = running === 0 || paused;
    byId("resume").hidden = !paused;
    byId("sending").hidden = !rows.length;
    const finish = byId("finish");
    finish.disabled = active || (Number(finish.dataset.arrived) === 0 && done === 0);
    byId("done-hint").textContent = active ? words.wait_hint : words.done_hint;
  }
  function left(bytes, sent) {
    const now = Date.now();
    if (!pace.at || sent < pace.sent) pace = { at: now, sent, rate: 0 };
    else if (now - pace.at > 1500) {
      const rate = (sent - pace.sent) / (now - pace.at);
      pace = { at: now, sent, rate: pace.rate ? 0.7 * pace.rate + 0.3 * rate : rate };
    }
    if (!(pace.rate > 0)) return "";
    const minutes = (bytes - sent) / pace.rate / 60000;
    if (minutes < 1) return words.seconds_left;
    if (minutes < 90) return fill(words.minutes_left, { minutes: Math.ceil(minutes) });
    return fill(words.hours_left, { hours: number.format(minutes / 60) });
  }

  async function finish() {
    const problem = byId("problem");
    problem.hidden = true;
    byId("finish").disabled = true;
    let said = { title: words.no_connection, next_step: words.no_connection_step };
    try {
      const answer = await fetch(`${settings.prefix}/api/finish`, {
        method: "POST", body: "{}", credentials: "same-origin",
        headers: { "Content-Type": "application/json", "X-Consilium": "1" },
      });
      said = await answer.json().catch(() => ({ title: words.fault, next_step: words.fault_step }));
      if (answer.ok) {
        forgetAll();
        location.assign(said.next);
        return;
      }
      if (answer.status === 401) byId("signed-out").hidden = false;
    } catch { /* said above */ }
    problem.querySelector("strong").textContent = said.title || words.fault;
    problem.querySelector("p").textContent = said.next_step || words.fault_step;
    problem.hidden = false;
    byId("finish").disabled = false;
  }

  // the page
  if (navigator.maxTouchPoints > 0) document.body.classList.add("touch");
  const drop = byId("drop");
  for (const [button, input] of [["pick-files", "files"], ["pick-folder", "folder"], ["pick-photo", "photo"]]) {
    byId(button).addEventListener("click", () => byId(input).click());
    byId(input).addEventListener("change", (event) => {
      take(Array.from(event.target.files, (file) => ({ file })), input === "folder");
      event.target.value = "";
    });
  }
  if (!("webkitdirectory" in byId("folder"))) byId("pick-folder").hidden = true;
  for (const choice of document.querySelectorAll("input[name=category]")) {
    choice.addEventListener("change", () => choose(choice.value, true));
  }
  for (const button of document.querySelectorAll("[data-send]")) {
    button.addEventListener("click", () => {
      choose(button.dataset.send, true);
      byId("send").scrollIntoView({ behavior: "smooth" });
      byId("files").click();
    });
  }
  for (const button of document.querySelectorAll("[data-forget]")) {
    button.addEventListener("click", async () => {
      await tus.Upload.terminate(settings.endpoint + button.dataset.forget, { httpStack: plainStack }).catch(() => {});
      button.closest("li").remove();
      if (!document.querySelector("[data-forget]")) byId("unfinished").hidden = true;
    });
  }
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); dropped(event.dataTransfer.items); });
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
  byId("pause").addEventListener("click", pause);
  byId("resume").addEventListener("click", goOn);
  byId("finish").addEventListener("click", finish);
  window.addEventListener("online", () => entries.filter((entry) => entry.offline && entry.status === "failed").forEach(again));
  window.addEventListener("beforeunload", (event) => {
    if (entries.some((entry) => entry.status === "running" || entry.status === "waiting")) event.preventDefault();
  });
})();
