// What scripts add to the page. Everything works without them.
import { keys } from "./keys.js";
import { live } from "./live.js";
import { ratings } from "./ratings.js";
import { unfold } from "./unfold.js";

unfold();
keys();
live();
ratings();
document.querySelectorAll(".filters select").forEach((choice) => {
  choice.addEventListener("change", () => choice.form.requestSubmit());
});
