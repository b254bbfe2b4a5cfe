// Prints the page: the browser's own dialogue also saves it as a PDF.
"use strict";
document.getElementById("print").addEventListener("click", () => window.print());
