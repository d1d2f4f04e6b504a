"use strict";
// Keeps the page current. Without it, the page shows the same when it is loaded again.
//
// The server reports on /live which app has changed. The page is then fetched again, and each part with data-live takes over what
// differs: elements stay the same, and so do focus, selection, scroll position, and what the reader has opened.

const RETRY_MS = 1000;
const LOST = "Connection lost, trying again";
const UNITS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

const byId = (id) => document.getElementById(id);

// ---- Times

let serverAhead = 0;

function readClock(page) {
  serverAhead = Number(page.documentElement.dataset.now) - Date.now() / 1000;
}

// As hanoverd/web/ages.py.
function age(seconds) {
  for (const [unit, name] of UNITS) {
    const count = Math.floor(seconds / unit);
    if (count >= 1) return count === 1 ? `1 ${name}` : `${count} ${name}s`;
  }
  return "less than a second";
}

// As format_duration() for whole seconds.
function running(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole}s`;
  const [big, small, names] = whole < 3600 ? [whole / 60, whole % 60, "ms"] : [whole / 3600, (whole / 60) % 60, "hm"];
  const rest = Math.floor(small);
  return Math.floor(big) + names[0] + (rest ? rest + names[1] : "");
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function showTimes() {
  const now = Date.now() / 1000 + serverAhead;
  for (const time of document.querySelectorAll("time[data-age]")) {
    const text = age(now - Date.parse(time.dateTime) / 1000);
    setText(time, time.dataset.age ? `${text} ${time.dataset.age}` : text);
  }
  for (const one of document.querySelectorAll("[data-running]")) setText(one, running(now - Number(one.dataset.running)));
}

// ---- What has changed

// Make `old` equal to `next`. Two elements are the same if they have the same ID, or, without one, the same name and class.
function update(old, next) {
  if (old.isEqualNode(next)) return;
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !isReaders(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...next.attributes]) {
    if (old.getAttribute(name) !== value && !isReaders(old, name)) old.setAttribute(name, value);
  }
  updateChildren(old, next);
}

// What the reader has opened or chosen stays so.
function isReaders(element, attribute) {
  return (element.localName === "details" && attribute === "open") || (element.localName === "input" && attribute === "checked");
}

function updateChildren(old, next) {
  let place = old.firstChild;
  for (const wanted of [...next.childNodes]) {
    let found = place;
    while (found && !isSame(found, wanted)) found = wanted.nodeType === Node.ELEMENT_NODE ? found.nextSibling : null;
    if (!found) {
      old.insertBefore(added(wanted, old), place);
      continue;
    }
    // What is skipped was removed, or comes later: it is inserted there.
    while (place !== found) place = removed(place);
    if (found.nodeType === Node.ELEMENT_NODE) update(found, wanted);
    else if (found.data !== wanted.data) found.data = wanted.data;
    place = found.nextSibling;
  }
  while (place) place = removed(place);
}

function isSame(one, other) {
  if (one.nodeName !== other.nodeName || one.id !== other.id) return false;
  return Boolean(one.id) || one.nodeType !== Node.ELEMENT_NODE || one.getAttribute("class") === other.getAttribute("class");
}

function added(wanted, parent) {
  const node = document.importNode(wanted, true);
  // A new version must not take the place of the one that the reader has chosen.
  if (parent.closest("details[open]")) {
    for (const choice of node.querySelectorAll?.("input[type=radio]") ?? []) choice.checked = false;
  }
  return node;
}

function removed(node) {
  const following = node.nextSibling;
  node.remove();
  return following;
}

// Each text of data-say that is new is said by screen readers.
function sayings(page) {
  return new Set([...page.querySelectorAll("[data-say]")].map((one) => one.dataset.say));
}

function show(page) {
  const before = sayings(document);
  const focused = document.activeElement;
  readClock(page);
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = page.getElementById(part.id);
    if (next) update(part, next);
  }
  document.title = page.title;
  showTimes();
  // What had the focus may be gone: the keyboard goes on from the content, not from the top.
  if (focused && !focused.isConnected) byId("main").focus({ preventScroll: true });
  const news = [...sayings(document)].filter((text) => !before.has(text));
  if (news.length) byId("announcements").textContent = `${news.join(". ")}.`;
}

let isFetching = false;
let isWanted = false;

async function refresh() {
  isWanted = true;
  if (isFetching) return;
  isFetching = true;
  try {
    while (isWanted) {
      isWanted = false;
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      // The session has ended: log in again.
      if (answer.redirected || answer.status === 401) return location.reload();
      // The app was stopped. It can come back.
      if (answer.status === 404) return report("lost", "This app is not there any more");
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      if (!stream || stream.readyState === EventSource.OPEN) report("on", "Up to date");
    }
  } catch {
    report("lost", LOST);
    clearTimeout(retry);
    retry = setTimeout(stream ? connect : refresh, RETRY_MS);
  } finally {
    isFetching = false;
  }
}

// ---- The connection
//
// A browser has only six connections to a server. So windows in the background hold none, and of the others one holds the stream,
// and passes on what it receives. (Where a browser has no locks, because the page is not on this host and has no TLS, each holds
// its own.)

const CHANNEL = "hanoverd-live";
const others = new BroadcastChannel(CHANNEL);
let stream = null;
let retry = 0;
let turn = null;
let release = () => {};

others.addEventListener("message", (event) => receive(event.data));

function follow() {
  if (!navigator.locks) return connect();
  others.postMessage({ kind: "hello" });
  turn = new AbortController();
  const held = () => new Promise((resolve) => {
    release = resolve;
    connect();
  });
  navigator.locks.request(CHANNEL, { signal: turn.signal }, held).catch(() => {});
}

function unfollow() {
  clearTimeout(retry);
  turn?.abort();
  stream?.close();
  stream = null;
  release();
}

function connect() {
  clearTimeout(retry);
  stream?.close();
  stream = new EventSource("/live");
  stream.addEventListener("open", () => pass({ kind: "open" }));
  stream.addEventListener("changed", (event) => pass({ kind: "changed", app: JSON.parse(event.data).app }));
  stream.addEventListener("error", (event) => {
    // An answer that is no stream: the session may have ended.
    if (event.target.readyState === EventSource.CLOSED) refresh();
    pass({ kind: "lost" });
    // A browser does not connect again by itself after such an answer.
    clearTimeout(retry);
    retry = setTimeout(connect, RETRY_MS);
  });
}

function pass(message) {
  if (navigator.locks) others.postMessage(message);
  receive(message);
}

function receive({ kind, app }) {
  if (document.hidden) return;
  const own = document.querySelector("[data-app]")?.dataset.app;
  if (kind === "lost") report("lost", LOST);
  // What happened before the connection was there is not reported.
  else if (kind === "open" || (kind === "changed" && (own === undefined || own === app))) refresh();
  else if (kind === "hello" && stream?.readyState === EventSource.OPEN) others.postMessage({ kind: "open" });
}

function report(state, text) {
  const shown = byId("connection");
  shown.className = `connection ${state}`;
  setText(shown, text);
}

// ---- Roll back

// Its second step is there without this, too. The focus stays where it is: who holds the key down does not confirm.
function prepareConfirm() {
  document.addEventListener("keydown", (event) => {
    const panel = byId("rollback");
    if (event.key !== "Escape" || !panel?.open) return;
    panel.open = false;
    panel.querySelector("summary").focus();
  });
}

// A double click sends a form once.
function prepareForms() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.isSent) return event.preventDefault();
    form.dataset.isSent = "yes";
    setTimeout(() => delete form.dataset.isSent, 2000);
  });
}

readClock(document);
setInterval(showTimes, 1000);
prepareConfirm();
prepareForms();
// A message is shown once, also when the page is loaded again.
if (new URLSearchParams(location.search).has("note")) {
  const url = new URL(location.href);
  url.searchParams.delete("note");
  history.replaceState(null, "", url);
}
// Only where something can change: not on the page of the login.
if (document.querySelector("[data-live]")) {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) unfollow();
    else follow();
  });
  if (!document.hidden) follow();
}
