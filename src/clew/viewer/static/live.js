// Shows what has changed in the store, as soon as it has, without moving what is being read.
import { part } from "./parts.js";

const RUNNING_MS = 15000;

let pending = false;
let refreshing = false;

export function live() {
  if (!document.querySelector("[data-live]")) return;
  let seen = document.body.dataset.seen;
  const sign = document.getElementById("live");
  const connected = () => {
    const made = new EventSource(`/events?seen=${seen}`);
    made.addEventListener("open", () => {
      sign.hidden = false;
      sign.classList.remove("off");
      sign.textContent = "Connected";
    });
    made.addEventListener("error", () => {
      sign.classList.add("off");
      sign.textContent = "Not connected";
    });
    made.addEventListener("changed", (event) => {
      seen = event.data;
      refresh();
    });
    return made;
  };
  let source = connected();
  // A turn of which nothing more comes is no longer running after some time.
  setInterval(() => document.querySelector(".running") && refresh(), RUNNING_MS);
  pausing();
  // Browsers allow few connections to one server, and tabs in the background need none.
  document.addEventListener("visibilitychange", () => {
    source.close();
    if (!document.hidden) source = connected();
    if (pending) refresh();
  });
  document.addEventListener("focusout", () => setTimeout(() => pending && refresh()));
  addEventListener("pagehide", () => source.close());
}

// One at a time; what changes meanwhile, or while somebody is choosing from the list, is shown later.
async function refresh() {
  pending = true;
  if (refreshing || document.hidden || paused() || choosing()) return;
  refreshing = true;
  pending = false;
  try {
    const fresh = await part(location.href);
    const now = document.querySelector("[data-live]");
    document.getElementById("counting")?.replaceWith(fresh.querySelector("#counting") ?? "");
    const next = fresh.querySelector("[data-live]");
    if (document.body.dataset.page === "start") location.reload();
    else if (choosing()) pending = true;
    else if (document.body.dataset.page === "session") addTurns(now, next, fresh);
    else if (next) exchange(now, next);
    else location.reload();
  } catch {
    // The server has gone, or is busy: it says so itself, or tells of the next change.
  } finally {
    refreshing = false;
  }
  if (pending && !choosing() && !paused()) setTimeout(refresh, 300);
}

// What is ticked, focused or the current row stays so; what is new is marked.
function exchange(now, next) {
  const ticked = new Set([...now.querySelectorAll(".tick:checked")].map((it) => it.value));
  for (const it of next.querySelectorAll(".tick")) it.checked = ticked.has(it.value);
  const known = new Set([...now.querySelectorAll("[data-key]")].map((it) => it.dataset.key));
  const current = now.querySelector(".current")?.dataset.key;
  const focused = now.contains(document.activeElement) && document.activeElement.getAttribute("href");
  for (const it of next.querySelectorAll("[data-key]")) {
    if (!known.has(it.dataset.key)) it.classList.add("new");
    else if (it.dataset.key === current) it.classList.add("current");
  }
  now.replaceWith(next);
  if (focused) [...next.querySelectorAll("a")].find((it) => it.getAttribute("href") === focused)?.focus({ preventScroll: true });
}

function pausing() {
  const place = document.querySelector("[data-pause]");
  if (!place) return;
  const button = Object.assign(document.createElement("button"), { id: "pause", type: "button", textContent: "Pause" });
  button.addEventListener("click", () => {
    const now = !paused();
    document.body.toggleAttribute("data-paused", now);
    button.textContent = now ? "Go on" : "Pause";
    button.setAttribute("aria-pressed", now);
    if (!now && pending) refresh();
  });
  place.append(button);
}

const paused = () => document.body.hasAttribute("data-paused");

function choosing() {
  const list = document.querySelector("[data-live]");
  return document.body.dataset.page === "list" && list?.contains(document.activeElement);
}

// A turn that is running grows, also while some of its steps are open.
function grow(old, turn) {
  if (old.querySelector(".loaded") || old.innerHTML === turn.innerHTML) return;
  const spans = (all) => new Map([...all.querySelectorAll("details[data-span]")].map((it) => [it.dataset.span, it]));
  const steps = spans(turn);
  const focused = document.activeElement.closest("details[data-span]");
  for (const [span, step] of spans(old)) if (steps.has(span)) steps.get(span).open = step.open;
  const place = old.contains(focused) && steps.get(focused.dataset.span);
  old.replaceWith(turn);
  if (place) place.querySelector("summary").focus({ preventScroll: true });
}

// Turns that are open, or being read, stay as they are; new ones come below, changed ones are exchanged.
function addTurns(now, next, fresh) {
  if (!next) return;
  const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 120;
  const later = ":scope > .pages:has([rel=next])";
  now.querySelector(later)?.remove();
  for (const turn of [...next.querySelectorAll(".turn")]) {
    const old = document.getElementById(turn.id);
    if (!old) now.append(turn);
    else if (old.matches(".running") && !old.querySelector(".noting[open]")) grow(old, turn);
    else if (!old.querySelector("details[open], .loaded") && !old.contains(document.activeElement)) {
      if (old.innerHTML !== turn.innerHTML) old.replaceWith(turn);
    }
  }
  const link = next.querySelector(later);
  if (link) now.append(link);
  for (const place of [".session-head", ".outline"]) {
    const newer = fresh.querySelector(place);
    const older = document.querySelector(place);
    if (newer && older && !older.querySelector("details[open]") && !older.contains(document.activeElement)) older.replaceWith(newer);
  }
  if (atEnd) scrollTo({ top: document.documentElement.scrollHeight });
}
