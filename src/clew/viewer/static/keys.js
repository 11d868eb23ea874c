// Keys: j and k go through the rows or turns, / searches, g s goes to the sessions, ? lists them all.
const KEYS = [
  ["j k", "next, previous session or turn"],
  ["Enter", "open the session"],
  ["e", "next failed turn"],
  ["b", "next turn that failed or annoyed"],
  ["/", "search"],
  ["g s", "sessions"],
  ["g l", "live"],
  ["g u", "users"],
  ["g o", "overview"],
  ["g m", "metrics"],
  ["p", "pause what is live"],
  ["c", "tick the session, compare the two that are ticked"],
  ["u", "up, to where this belongs"],
  ["?", "these keys"],
];
const ROWS = "[data-row], [data-turn]";
const PLACES = { s: "/", l: "/live", u: "/users", o: "/overview", m: "/metrics" };
let going = 0;

export function keys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (Date.now() - going < 1500 && PLACES[event.key]) {
      going = 0;
      location.href = PLACES[event.key];
      return;
    }
    const action = ACTIONS[event.key];
    if (action && !document.querySelector("dialog[open]")) action(event);
  });
}

const ACTIONS = {
  g: () => (going = Date.now()),
  j: () => step(1),
  k: () => step(-1),
  e: () => step(1, ".turn.failed", "nextFailed"),
  b: () => step(1, ".turn.failed, .turn.annoyed", "nextBad"),
  u: () => document.querySelector("[data-up]")?.click(),
  c: compare,
  p: () => document.getElementById("pause")?.click(),
  "?": help,
  "/": (event) => {
    event.preventDefault();
    const search = document.getElementById("search");
    if (search) search.focus();
    else location.href = "/#search";
  },
};

// Where there is none on this page any more, to the next one that is on a later page, if there is.
function step(by, wanted = ROWS, later = "") {
  const all = [...document.querySelectorAll(wanted)];
  const box = (it) => (it.matches("[data-row]") ? it.closest("[role=row], tr, li") : it);
  // What was exchanged since has the focus again, and no mark.
  const focused = document.activeElement?.closest("[data-row], [data-turn]");
  const current = document.querySelector(".current") ?? (focused && box(focused));
  let at = all.findIndex((it) => box(it) === current);
  if (at < 0 && current) {
    const after = all.findIndex((it) => it.compareDocumentPosition(current) & 2);
    at = (after < 0 ? all.length : after) - (by < 0 ? 0 : 1);
  }
  if (at < 0 && by < 0) return;
  if (later && at + by >= all.length) {
    const address = document.querySelector("[data-live]")?.dataset[later];
    if (address) location.href = address;
    return;
  }
  if (!all.length) return;
  const next = all[Math.min(all.length - 1, Math.max(0, at + by))];
  current?.classList.remove("current");
  box(next).classList.add("current");
  next.focus({ preventScroll: true });
  box(next).scrollIntoView({ block: wanted === ROWS && next.matches("[data-row]") ? "nearest" : "start" });
}

function compare() {
  const link = document.querySelector("[data-compare]");
  if (link) link.click();
  const tick = document.querySelector(".row.current .tick");
  if (!tick) return;
  tick.checked = !tick.checked;
  if (document.querySelectorAll(".tick:checked").length === 2) tick.form.requestSubmit();
}

function help() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", "Keys");
  const title = document.createElement("h2");
  title.textContent = "Keys";
  const list = document.createElement("dl");
  for (const [key, what] of KEYS) {
    const term = document.createElement("dt");
    term.append(...key.split(/( )/).map((it) => (it === " " ? it : Object.assign(document.createElement("kbd"), { textContent: it }))));
    const text = document.createElement("dd");
    text.textContent = what;
    list.append(term, text);
  }
  const close = Object.assign(document.createElement("button"), { textContent: "Close" });
  close.addEventListener("click", () => dialog.close());
  dialog.append(title, list, close);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
