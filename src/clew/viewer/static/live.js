// Shows what has changed in the store, as soon as it has, without moving what is being read.
import { part, replace } from "./parts.js";
import { addTurns, shown } from "./turns.js";

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
  addEventListener("pageshow", (event) => event.persisted && !document.hidden && (source = connected()));
}

// One at a time; what changes meanwhile, or while somebody is choosing from the list, is shown later.
async function refresh() {
  pending = true;
  if (refreshing || document.hidden || paused() || choosing()) return;
  refreshing = true;
  pending = false;
  try {
    const fresh = await part(shown());
    const now = document.querySelector("[data-live]");
    document.getElementById("counting")?.replaceWith(fresh.querySelector("#counting") ?? "");
    const next = fresh.querySelector("[data-live]");
    if (document.body.dataset.page === "start") location.reload();
    else if (choosing()) pending = true;
    else if (!now || !next) location.reload();
    else if (document.body.dataset.page === "session") addTurns(now, next, fresh);
    else exchange(now, next);
  } catch (error) {
    if (error.status === 404) gone(error.inside);
    // Else the server has gone, or is busy: it says so itself, or tells of the next change.
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
  for (const it of next.querySelectorAll("[data-key]")) {
    if (!known.has(it.dataset.key)) it.classList.add("new");
    else if (it.dataset.key === current) it.classList.add("current");
  }
  replace(now, next);
}

// What was deleted is not shown any longer, also where it is open.
function gone(inside) {
  if (!document.querySelector("[data-live]")) return;
  document.title = "No longer there · clew";
  inside.querySelector("h1").textContent = "No longer there";
  document.getElementById("main").replaceChildren(inside);
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
