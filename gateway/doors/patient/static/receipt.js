// Prints the page (the browser's own dialogue also saves it as a PDF), and looks again while files are still being checked.
"use strict";
document.getElementById("print").addEventListener("click", () => window.print());
if (document.querySelector(".pending")) {
  const tried = Number(sessionStorage.getItem("consilium-looked") || 0);
  sessionStorage.setItem("consilium-looked", String(tried + 1));
  if (tried < 6) setTimeout(() => location.reload(), 2000 * 2 ** tried);
} else {
  sessionStorage.removeItem("consilium-looked");
}
