// Loads parts where they are unfolded, instead of going to their page.
import { part } from "./parts.js";

export function unfold() {
  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const link = event.target.closest("a");
    if (!link) return;
    if (link.matches("[data-whole]")) whole(event, link);
    else if (link.matches("[data-copy]")) copy(event, link);
    else if (link.matches("[data-load]")) load(event, link);
  });
  document.addEventListener("toggle", fromSummary, true);
}

async function fromSummary(event) {
  const details = event.target;
  const address = details.dataset?.loadFrom;
  if (!address || !details.open) return;
  delete details.dataset.loadFrom;
  try {
    const inside = await part(address);
    inside.querySelector(".path.alone")?.remove();
    details.querySelector(".inside").replaceChildren(inside);
  } catch {
    details.dataset.loadFrom = address;
  }
}

async function load(event, link) {
  event.preventDefault();
  const turn = link.closest(".turn");
  const place = link.closest(".inside") ?? turn;
  const before = place.querySelector(`:scope > .loaded`);
  const again = before?.dataset.from === link.href;
  before?.remove();
  if (again) return;
  const box = document.createElement("div");
  box.className = "loaded";
  box.dataset.from = link.href;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", link.textContent);
  box.textContent = "…";
  place.append(box);
  try {
    box.replaceChildren(await part(link.href));
  } catch {
    location.href = link.href;
  }
}

async function whole(event, link) {
  event.preventDefault();
  const line = link.closest(".more");
  try {
    const inside = (await part(link.href)).querySelector("[data-inside]");
    line.previousElementSibling.replaceWith(...inside.childNodes);
    line.remove();
  } catch {
    location.href = link.href;
  }
}

async function copy(event, link) {
  if (!navigator.clipboard) return;
  event.preventDefault();
  const label = link.textContent;
  try {
    const answer = await fetch(link.href);
    if (!answer.ok) throw new Error(`${answer.status}`);
    await navigator.clipboard.writeText(await answer.text());
    link.textContent = "Copied";
    setTimeout(() => (link.textContent = label), 1500);
  } catch {
    location.href = link.href;
  }
}
