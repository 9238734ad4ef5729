// Says that the figures of a page are old while the part of it that refreshes itself gets no answer.
"use strict";

function show(isOld) {
  const notice = document.getElementById("stale");
  if (notice !== null && notice.hidden === isOld) {
    notice.hidden = !isOld;
  }
}

for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(failure, () => show(true));
}
document.addEventListener("htmx:afterSwap", () => show(false));
