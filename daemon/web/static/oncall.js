// Shows the on-call calendar in the zone of whoever looks, unless another was asked for.
"use strict";
(() => {
  const shown = document.querySelector("[data-zone]")?.dataset.zone;
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const asked = new URLSearchParams(location.search);
  if (!shown || !own || own === shown || asked.has("zone")) return;
  asked.set("zone", own);
  location.replace(`${location.pathname}?${asked}${location.hash}`);
})();
