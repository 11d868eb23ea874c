// The turns of a session: links to them, and what becomes of them while the page is open.
import { replace } from "./parts.js";

// A link to a turn leads to it from everywhere; where it is on this page, nothing is loaded for it.
export function turns() {
  if (document.body.dataset.page !== "session") return;
  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button) return;
    const href = event.target.closest("a")?.getAttribute("href");
    const url = href && new URL(href, location.href);
    if (!url || !isSession(url) || !document.getElementById(url.hash.slice(1))) return;
    event.preventDefault();
    if (location.hash === url.hash) document.getElementById(url.hash.slice(1)).scrollIntoView();
    location.hash = url.hash;
    history.replaceState(history.state, "", url);
  });
  addEventListener("hashchange", elsewhere);
  elsewhere();
}

const isSession = (url) =>
  url.pathname === location.pathname && url.searchParams.get("id") === new URL(location.href).searchParams.get("id");

// Addresses that only name the place on a page may be of a page that ended later.
function elsewhere() {
  const url = new URL(location.href);
  const number = url.hash.match(/^#turn-(\d+)$/)?.[1];
  if (!number || document.getElementById(`turn-${number}`) || url.searchParams.get("turn") === number) return;
  url.searchParams.set("turn", number);
  location.replace(url);
}

// The address of what is shown: of a session the same turns, whatever their numbers are now.
export function shown() {
  const url = new URL(location.href);
  const box = document.querySelector(".conversation[data-live]");
  const all = box?.querySelectorAll(":scope > .turn") ?? [];
  if (!all.length) return url;
  url.searchParams.set("turn", box.dataset.start);
  url.searchParams.set("last", all[all.length - 1].dataset.key);
  if (box.querySelector(":scope > .pages [rel=prev]")) url.searchParams.set("first", all[0].dataset.key);
  return url;
}

// What is new comes where it belongs, and what is gone goes. Turns that are open, or being read, stay
// as they are, with the number that they have now; others that have changed are exchanged.
export function addTurns(now, next, fresh) {
  const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 120;
  const old = pieces(now);
  const wanted = pieces(next);
  renamed(old, wanted);
  const kept = new Map([...wanted].map(([name, it]) => [it, old.get(name) && keep(old.get(name), it)]));
  const staying = new Set(kept.values());
  for (const it of [...now.children]) if (!staying.has(it)) it.remove();
  let place = now.firstElementChild;
  for (const [it, before] of kept) {
    if (before && before === place) place = place.nextElementSibling;
    else now.insertBefore(before ?? it, place);
  }
  Object.assign(now.dataset, next.dataset);
  head(fresh);
  if (atEnd) scrollTo({ top: document.documentElement.scrollHeight });
}

// Turns by what names them, and what stands before each of them.
function pieces(box) {
  const found = [];
  let turn = "";
  for (const it of [...box.children].reverse()) {
    turn = it.dataset.key ?? turn;
    found.unshift([it.dataset.key ?? `${it.className} ${turn}`, it]);
  }
  return new Map(found);
}

// A turn that is running has another root, and so another name, when what is around it is known.
function renamed(old, wanted) {
  for (const name of wanted.keys()) {
    if (old.has(name)) continue;
    const before = [...old].find(
      ([key, it]) => it.matches(".running") && key.slice(0, 32) === name.slice(0, 32) && !wanted.has(key),
    );
    if (!before) continue;
    old.delete(before[0]);
    old.set(name, before[1]);
  }
}

// Returns what is on the page then: what was there, or what comes in its place.
function keep(old, it) {
  if (!it.dataset.key) return old.isEqualNode(it) || old.matches("[open]") ? old : exchanged(old, it);
  if (old.matches(".running") && !old.querySelector(".noting[open]")) return grow(old, it);
  if (old.querySelector("details[open], .loaded") || old.contains(document.activeElement)) return renumber(old, it);
  return old.outerHTML === it.outerHTML ? old : exchanged(old, it);
}

function exchanged(old, it) {
  if (old.matches(".current")) it.classList.add("current");
  old.replaceWith(it);
  return it;
}

// A turn that is running grows, also while some of its steps are open.
function grow(old, turn) {
  if (old.querySelector(".loaded")) return renumber(old, turn);
  if (old.outerHTML === turn.outerHTML) return old;
  const spans = (all) => new Map([...all.querySelectorAll("details[data-span]")].map((it) => [it.dataset.span, it]));
  const steps = spans(turn);
  const focused = document.activeElement.closest("details[data-span]");
  for (const [span, step] of spans(old)) if (steps.has(span)) steps.get(span).open = step.open;
  const place = old.contains(focused) && steps.get(focused.dataset.span);
  exchanged(old, turn);
  if (place) place.querySelector("summary").focus({ preventScroll: true });
  return turn;
}

function renumber(old, turn) {
  old.id = turn.id;
  old.dataset.key = turn.dataset.key;
  for (const part of [".number", ".rating"]) old.querySelector(part).ariaLabel = turn.querySelector(part).ariaLabel;
  old.ariaLabel = turn.ariaLabel;
  const [link, newer] = [old, turn].map((it) => it.querySelector(".number"));
  link.setAttribute("href", newer.getAttribute("href"));
  link.textContent = newer.textContent;
  return old;
}

// What is above and beside the turns. A rating that is being written stays.
function head(fresh) {
  const title = document.querySelector("h1").textContent;
  const newer = [...fresh.querySelector(".session-head").children];
  [...document.querySelector(".session-head").children].forEach((it, index) => {
    const isWritten = it.id === "rating" && (it.querySelector("details[open]") || it.contains(document.activeElement));
    if (!isWritten && !it.isEqualNode(newer[index])) replace(it, newer[index]);
  });
  const now = document.querySelector("h1").textContent;
  if (now !== title) document.title = `${now} · clew`;
  const [outline, fresher] = [document, fresh].map((it) => it.querySelector(".outline"));
  if (!outline.isEqualNode(fresher)) replace(outline, fresher);
}
