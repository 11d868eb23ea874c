// What scripts add to the page. Everything works without them.
import { keys } from "./keys.js";
import { live } from "./live.js";
import { ratings } from "./ratings.js";
import { turns } from "./turns.js";
import { unfold } from "./unfold.js";

unfold();
keys();
live();
ratings();
turns();
// A page that comes back is as its address says, not as it was left.
addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll(".filters").forEach((form) => form.reset());
});
document.querySelectorAll(".filters input[type=text]").forEach((it) => {
  it.addEventListener("change", () => (it.value = it.value.trim()));
});
document.querySelectorAll(".filters select").forEach((choice) => {
  choice.addEventListener("change", () => choice.form.requestSubmit());
});
