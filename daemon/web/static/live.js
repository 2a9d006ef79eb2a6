// Keeps an open page true: when the daemon says that something has changed, the page is asked
// for again, and the parts of it that differ are replaced. Nothing depends on it.
"use strict";
(() => {
  const main = document.getElementById("main");
  const source = main.querySelector("[data-events]")?.dataset.events;
  let events = null;
  let again = null;
  let asking = false;

  const busy = (part) => {
    const at = document.activeElement;
    const writing = at && part.contains(at) && /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
    const written = [...part.querySelectorAll("textarea, input:not([type=hidden])")].some(
      (field) => field.value !== field.defaultValue);
    return writing || written;
  };

  const replace = (old, fresh) => {
    if (old.innerHTML === fresh.innerHTML || busy(old)) return;
    const open = new Set([...old.querySelectorAll("details[open][id]")].map((d) => d.id));
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.innerHTML = fresh.innerHTML;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus();
    old.classList.remove("fresh");
    void old.offsetWidth; // so that the animation begins anew
    old.classList.add("fresh");
  };

  const refresh = async () => {
    if (asking) { again ??= setTimeout(() => { again = null; refresh(); }, 500); return; }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname === "/login") {
        location.reload();
        return;
      }
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.title = page.title;
      for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(old.id);
        if (fresh) replace(old, fresh);
      }
      tick();
    } catch { /* the daemon is away; the event source comes back when it does */ } finally {
      asking = false;
    }
  };

  const span = (seconds) => {
    const s = Math.max(0, Math.round(seconds));
    if (s < 120) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
    return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
  };

  const tick = () => {
    for (const time of document.querySelectorAll("time.ago")) {
      const past = (Date.now() - Date.parse(time.dateTime)) / 1000;
      const text = past >= 0 ? `${span(past)} ago` : `in ${span(-past)}`;
      if (time.textContent !== text) time.textContent = text;
    }
  };

  const listen = () => {
    if (!source || events) return;
    events = new EventSource(source);
    let first = true;
    const state = document.getElementById("live-state");
    events.onopen = () => {
      if (state) state.textContent = "live";
      if (!first) refresh(); // something may have happened while we were away
      first = false;
    };
    events.onerror = () => { if (state) state.textContent = "no connection; trying again"; };
    events.addEventListener("changed", refresh);
  };
  const rest = () => { events?.close(); events = null; };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { rest(); } else { listen(); if (source) refresh(); }
  });
  addEventListener("pagehide", rest);
  listen();
  setInterval(tick, 1000);
})();
