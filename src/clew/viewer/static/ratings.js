// Saves ratings, labels and notes without loading the page anew. What was not saved stays in the form.
export function ratings() {
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-rating] [data-saves]")) return;
    event.preventDefault();
    save(event.target, event.submitter);
  });
}

async function save(form, button, isFirst = true) {
  const box = form.closest("[data-rating]");
  if (isFirst && box.ariaBusy === "true") return;
  box.ariaBusy = "true";
  const fields = new URLSearchParams(new FormData(form));
  if (button?.name) fields.set(button.name, button.value);
  const address = new URL(form.action);
  address.searchParams.set("part", "1");
  try {
    const answer = await fetch(address, { method: "POST", body: fields });
    const template = document.createElement("template");
    template.innerHTML = await answer.text();
    const inside = template.content;
    const token = inside.querySelector("[name=form_token]")?.value;
    if (answer.ok) exchange(box, inside.querySelector("[data-rating]"), form, button);
    else if (answer.status === 403 && token && isFirst) {
      // The server was started anew. This page is its own, as it could read the answer.
      for (const it of document.querySelectorAll("[name=form_token]")) it.value = token;
      await save(form, button, false);
    } else say(box, `Not saved: ${inside.querySelector("[role=alert] p")?.textContent ?? answer.status}`);
  } catch {
    say(box, "Not saved: the server does not answer.");
  } finally {
    box.ariaBusy = null;
  }
}

// The form that was sent is closed; another one, in which something may be written, stays as it is.
function exchange(box, next, form, button) {
  const noting = box.querySelector("details");
  if (noting.open && !noting.contains(form)) next.querySelector("details").replaceWith(noting);
  const name = next.querySelector("[name=who]").value;
  box.replaceWith(next);
  for (const it of document.querySelectorAll("[data-rating] [name=who], [data-rating] [name=knew]")) it.value = name;
  say(next, "Saved");
  const again = button?.name ? next.querySelector(`.${button.classList[1]}`) : next.querySelector("summary");
  again?.focus({ preventScroll: true });
}

function say(box, text) {
  const place = box.querySelector(".saved");
  place.textContent = text;
  place.classList.toggle("failed", text !== "Saved");
}
