// Puts something in the place of what was there. What had the focus has it again.
export function replace(old, it) {
  const focused = old.contains(document.activeElement) && document.activeElement.getAttribute("href");
  old.replaceWith(it);
  if (focused) [...it.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
}

// Fetches the inside of another page, which the server has escaped and sanitised.
export async function part(address) {
  const url = new URL(address, location.href);
  url.searchParams.set("part", "1");
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  // JSON contains recorded text as it is.
  if (!answer.headers.get("content-type")?.startsWith("text/html")) throw new Error("no HTML");
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  if (answer.ok) return template.content;
  throw Object.assign(new Error(`${answer.status}`), { status: answer.status, inside: template.content });
}
