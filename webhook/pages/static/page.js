// What a page does beyond showing: it keeps up with what happens, and makes times relative. Every word on a page was
// written by the server; this script only swaps parts of it for newer ones, so nothing here ever makes HTML of a text.
"use strict";

const news = document.getElementById("news");
const some = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

function relative(time) {
  const then = new Date(time.dateTime), ago = (Date.now() - then) / 1000;
  const [unit, size] = UNITS.find(([, seconds]) => Math.abs(ago) >= seconds) || [];
  time.textContent = ago > 30 * 86400 ? time.dateTime.slice(0, 10) : unit ? some.format(-Math.floor(ago / size), unit) : "just now";
}

function times(root) {
  for (const time of root.querySelectorAll("time[datetime]")) relative(time);
}

// --- keeping up: parts of the page that an event concerns are fetched again and swapped

async function fetched(address) {
  const answer = await fetch(address, { headers: { accept: "text/html" }, cache: "no-store" });
  return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
}

function busy(part) {
  const at = document.activeElement;
  const typed = [...part.querySelectorAll("textarea, input:not([type=hidden])")].some((field) => field.value !== field.defaultValue);
  return typed || (at && part.contains(at) && at.matches("input, textarea, select"));
}

function swap(part, fresh) {
  if (part.isEqualNode(fresh) || part.dataset.was === fresh.outerHTML) return false;
  const was = fresh.outerHTML, at = document.activeElement;
  const id = part.contains(at) && at.id, address = part.contains(at) && at.getAttribute("href");
  const open = new Map([...part.querySelectorAll("details")].map((one) => [one.dataset.key, one.open]));
  part.replaceChildren(...fresh.childNodes);
  part.className = fresh.className;
  part.dataset.was = was;
  for (const one of part.querySelectorAll("details")) if (open.has(one.dataset.key)) one.open = open.get(one.dataset.key);
  times(part);
  part.dispatchEvent(new Event("swapped"));
  const again = (id && document.getElementById(id)) || (address && part.querySelector(`a[href="${CSS.escape(address)}"]`));
  if (again) again.focus({ preventScroll: true });
  return true;
}

let waiting = new Set(), timer = 0, fetching = false;

function concern(kind) {
  waiting.add(kind);
  if (!timer && !fetching) timer = setTimeout(refresh, 250);
}

async function refresh() {
  timer = 0;
  fetching = true;
  const kinds = waiting;
  waiting = new Set();
  try {
    const parts = [...document.querySelectorAll("[data-live]")].filter((part) => part.dataset.on.split(" ").some((kind) => kinds.has(kind)));
    if (parts.length) {
      const now = await fetched(document.body.dataset.address || location.href);
      for (const part of now ? parts : []) {
        const fresh = now.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
        if (fresh && !busy(part)) swap(part, fresh);
      }
    }
    if (kinds.has("log")) await follow();
    later();
  } finally {
    fetching = false;
    if (waiting.size) timer = setTimeout(refresh, 400);
  }
}

// What is still being made ready on the server is asked for again.
function later() {
  if (document.querySelector("[data-again]")) setTimeout(() => concern("talk"), 1500);
}

async function follow() {
  const log = document.getElementById("log");
  const now = log && (await fetched(`/tasks/${encodeURIComponent(log.dataset.log)}/log`));
  const fresh = now && now.getElementById("log");
  if (!fresh) return;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.replaceChildren(...fresh.childNodes);
  times(log);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function told(kind, data) {
  const log = document.getElementById("log"), task = log && log.dataset.log;
  const here = document.body.dataset.task;
  if (here && data.task !== here) return;
  if (kind === "step") {
    if (task === data.task) concern("log");
    if (here && !log) concern("live");
    if (here && data.kind === "result") concern("wrote");
  }
  concern(kind);
  if (kind === "hold" && data.hold) news.textContent = `${data.task} is held: ${data.hold}`;
  if (kind === "stage") news.textContent = `${data.task}: ${data.status} ${data.stage_progress} per cent`;
}

let source = null;

function listen() {
  source = new EventSource("/api/events");
  for (const kind of ["stage", "hold", "update", "removed", "step"]) {
    source.addEventListener(kind, (event) => told(kind, JSON.parse(event.data)));
  }
  for (const kind of ["hello", "reset"]) {  // what happened before this line was open
    source.addEventListener(kind, () => { for (const what of ["stage", "hold", "update", "log"]) concern(what); });
  }
}

// A browser allows few open lines to one server: a page that nobody sees gives its own back.
document.addEventListener("visibilitychange", () => {
  if (document.hidden && source) {
    source.close();
    source = null;
    if (line) line.close();
  } else if (!document.hidden && !source && document.querySelector("[data-live]")) {
    listen();
    if (line) { reply = { to: "", shown: [] }; hear(talk.dataset.after); }
  }
});

// --- keys: Control or Command with K searches, with Enter sends; a plain letter is left to those who speak to their machine

document.addEventListener("keydown", (event) => {
  const held = event.ctrlKey || event.metaKey;
  if (held && event.key === "k") {
    event.preventDefault();
    document.getElementById("q").focus();
  } else if (event.key === "Enter" && held && event.target.matches("textarea")) {
    event.target.form.requestSubmit();
  }
});

// One click is one act.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  setTimeout(() => { for (const button of event.target.querySelectorAll("button:not(:disabled)")) { button.disabled = true; button.dataset.sent = ""; } });
});
window.addEventListener("pageshow", () => { for (const button of document.querySelectorAll("button[data-sent]")) button.disabled = false; });

// --- a discussion: what an agent says comes as differences to what it has said, offsets counted in whole characters

const talk = document.getElementById("talk"), form = document.getElementById("say");
let line = null, reply = { to: "", shown: [] };

function nearEnd() {
  return window.innerHeight + window.scrollY > document.body.scrollHeight - 300;
}

function show() {
  const coming = document.getElementById("coming");
  if (!coming || !reply.to) return;
  const end = nearEnd();
  const stream = coming.querySelector(".stream");
  if (!stream) return;
  stream.textContent = reply.shown.join("");
  if (reply.agent) coming.querySelector(".who b").textContent = reply.agent;
  if (reply.doing) coming.querySelector(".doing").textContent = reply.doing;
  if (end) form.scrollIntoView({ block: "end" });
}

function said(data) {
  if (data.to !== reply.to) reply = { to: data.to, shown: [], agent: data.agent };
  if (!document.getElementById("coming")) concern("talk");
}

function hear(number) {
  line = new EventSource(`/api/discussions/${encodeURIComponent(talk.dataset.talk)}/events?after=${number}`);
  line.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    talk.dataset.after = message.number;
    if (message.answers === reply.to) reply = { to: "", shown: [] };
    concern("talk");
  });
  line.addEventListener("delta", (event) => {
    const data = JSON.parse(event.data);
    said(data);
    reply.shown = [...reply.shown.slice(0, data.at), ...data.text];
    reply.agent = data.agent || reply.agent;
    reply.doing = "answers";
    show();
  });
  line.addEventListener("reading", (event) => {
    const data = JSON.parse(event.data);
    said(data);
    reply.doing = `looks at ${data.what}`.slice(0, 200);
    show();
  });
  line.addEventListener("failed", () => { reply = { to: "", shown: [] }; concern("talk"); });
}

async function send(event) {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("talk"), fault = page.querySelector("main .fault");
    document.querySelectorAll("main > .fault").forEach((old) => old.remove());
    if (fault) { talk.before(fault); fault.focus(); }
    if (!fresh) return;
    swap(talk, fresh);
    form.elements.id.value = page.getElementById("say").elements.id.value;
    if (!answer.ok) return;
    form.reset();
    form.elements.id.value = page.getElementById("say").elements.id.value;
    form.elements.text.focus();
    form.scrollIntoView({ block: "end" });
    if (!talk.dataset.talk) { talk.dataset.talk = fresh.dataset.talk; hear(fresh.dataset.after); }
  } catch {
    news.textContent = "This could not be sent: the service cannot be reached.";
  } finally {
    button.disabled = false;
  }
}

if (talk && form) {
  form.addEventListener("submit", send);
  form.addEventListener("paste", (event) => {  // a picture from the clipboard is a file of the message
    if (!event.clipboardData.files.length) return;
    const all = new DataTransfer();
    for (const file of [...form.elements.files.files, ...event.clipboardData.files]) all.items.add(file);
    form.elements.files.files = all.files;
  });
}
if (talk && talk.dataset.talk) hear(talk.dataset.after);
if (talk) talk.addEventListener("swapped", show);

times(document);
setInterval(() => times(document), 60000);
function toEnd() {
  const log = document.getElementById("log");
  if (log) log.scrollTop = log.scrollHeight;
}

toEnd();
document.querySelector(".live")?.addEventListener("swapped", toEnd);
document.querySelector(".live")?.addEventListener("toggle", toEnd, true);
const problem = document.getElementById("problem");
if (problem) problem.focus();
if (document.querySelector("[data-live]")) listen();
later();
