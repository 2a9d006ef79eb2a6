// Keeps an open page true: when the daemon says that something has changed, the page is asked
// for again, and what differs is replaced, never under somebody's hands. Nothing depends on it.
"use strict";
(() => {
  const main = document.getElementById("main");
  const source = main.querySelector("[data-events]");
  const page = source?.dataset.page || location.href;
  const AGAIN = { first: 5000, most: 60000 }; // ms until a refused stream is asked for again
  const TWICE = 3000; // ms in which a form is not sent a second time
  const TAP = { ms: 400, px: 40 }; // the second half of a double tap on the page before
  const LAYERS = new Set(["SECTION", "DIV", "OL", "UL", "LI", "DL", "ARTICLE", "DETAILS"]);
  const FIELDS = "textarea, select, input:not([type=hidden])";
  let events = null;
  let again = null;
  let asking = false;
  let state = "";
  let patience = AGAIN.first;

  // ── what somebody has in hand ──────────────────────────────────────────────────────────────

  const begun = (field) => {
    if (field.tagName !== "SELECT") {
      return field.value !== field.defaultValue || field.checked !== field.defaultChecked;
    }
    const usual = [...field.options].findIndex((option) => option.defaultSelected);
    return field.selectedIndex !== Math.max(0, usual);
  };
  const held = (part) => [...part.querySelectorAll(FIELDS)].some(
    (field) => field === document.activeElement || begun(field));

  // ── replacing what differs ─────────────────────────────────────────────────────────────────

  const layered = (node) => LAYERS.has(node.tagName) && [...node.childNodes].every(
    (child) => child.nodeType !== Node.TEXT_NODE || !child.data.trim());
  const same = (old, fresh) => (fresh.id ? old.id === fresh.id : old.isEqualNode(fresh));

  // Makes `old` what `fresh` is, and keeps every node that need not go: focus, scrolling and what
  // is unfolded hang on them. Whether that is news.
  const merge = (old, fresh) => {
    if (old.isEqualNode(fresh)) return false;
    if (old.tagName !== fresh.tagName || !layered(old) || !layered(fresh)) {
      if (held(old)) return false;
      old.replaceWith(fresh);
      return !fresh.matches(".as-of");
    }
    for (const { name, value } of fresh.attributes) {
      if (!/^(open|class)$/.test(name)) old.setAttribute(name, value);
    }
    const before = [...old.children];
    const after = [...fresh.children];
    let news = false;
    after.forEach((child, index) => {
      const there = before.findIndex((one) => same(one, child));
      if (there > 0) news = drop(before.splice(0, there)) || news;
      const [next] = before;
      const later = next && after.slice(index + 1).some((one) => same(next, one));
      if (there >= 0 || (next && !later && next.tagName === child.tagName)) {
        news = merge(before.shift(), child) || news;
      } else {
        old.insertBefore(child, next ?? null);
        news = true;
      }
    });
    return drop(before) || news;
  };
  const drop = (nodes) => {
    const going = nodes.filter((node) => !held(node));
    for (const node of going) node.remove();
    return going.length > 0;
  };

  const open = (within) => {
    for (let at = within; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
    }
  };
  const update = (old, fresh) => {
    if (!merge(old, fresh)) return;
    old.classList.remove("fresh");
    void old.offsetWidth; // so that the animation begins anew
    old.classList.add("fresh");
  };

  // A section that was not there before comes where the page has it, by those that are.
  const place = (part) => {
    const copy = document.importNode(part, true); // those after it are placed by it
    copy.classList.add("fresh");
    const ways = [["previousElementSibling", "after"], ["nextElementSibling", "before"]];
    for (const [way, where] of ways) {
      for (let at = part[way]; at; at = at[way]) {
        const there = at.id && document.getElementById(at.id);
        if (there) { there[where](copy); return; }
      }
    }
  };

  // What has the focus keeps it; if it goes, what is called as it was takes it, or what is near.
  const named = (one) => [one.tagName, one.getAttribute("aria-label") ?? one.textContent.trim(),
    one.form?.action ?? one.href ?? one.id].join(" ");
  const focus = (one) => {
    open(one); // in what is folded nothing takes the focus
    one.focus({ preventScroll: true });
    return one === document.activeElement;
  };
  const focusing = () => {
    const focused = document.activeElement;
    const section = focused?.closest("[data-live]")?.id;
    const called = section && named(focused);
    return () => {
      if (!section || (focused.isConnected && focused.checkVisibility?.() !== false)) return;
      focused.blur(); // what is not seen any more would lose it only later, and to nobody
      const near = document.getElementById(section);
      const like = [...near?.querySelectorAll("a, button, summary, " + FIELDS) ?? []].find(
        (one) => named(one) === called);
      if (like && focus(like)) return;
      for (const place of [near, main]) {
        if (!place) continue;
        place.tabIndex = -1;
        if (focus(place)) return;
      }
    };
  };

  // What is being read stays where it is on the screen.
  const reading = () => {
    const chain = [];
    let at = scrollY > 0 ? document.elementFromPoint(innerWidth / 2, innerHeight / 3) : null;
    for (; at && main.contains(at); at = at.parentElement) {
      chain.push([at, at.getBoundingClientRect().top]);
    }
    return () => {
      const [found, top] = chain.find(([node]) => node.isConnected) ?? [];
      if (found) scrollBy({ top: found.getBoundingClientRect().top - top, behavior: "instant" });
    };
  };

  const show = (text) => {
    state = text;
    const place = document.getElementById("live-state");
    if (place && text) place.textContent = text;
  };

  // As loud as it is: whoever decides by this page must not take it for the present.
  let answered = Date.now();
  const away = (gone) => {
    const banner = document.getElementById("away");
    if (!gone) answered = Date.now();
    if (!banner || banner.hidden === !gone) return;
    const since = document.getElementById("away-since");
    if (gone && since) since.textContent = new Date(answered).toLocaleTimeString();
    banner.hidden = !gone;
  };

  const say = (fresh) => {
    const place = document.getElementById("news");
    const text = [...fresh.querySelectorAll("[data-said]")].map((one) => one.dataset.said).join("");
    if (place && place.dataset.said !== text) {
      if (place.dataset.said !== undefined) place.textContent = text;
      place.dataset.said = text;
    }
  };

  const loggedOut = () => {
    events?.close();
    events = null;
    if (!held(main)) { location.reload(); return; }
    show("your login has ended; what you wrote is still here");
    const banner = document.getElementById("ended");
    if (banner) banner.hidden = false;
  };

  const accept = (fresh) => {
    document.title = fresh.title;
    const csrf = fresh.querySelector("input[name=csrf]")?.value;
    for (const field of csrf ? document.querySelectorAll("input[name=csrf]") : []) {
      field.setAttribute("value", csrf); // of a login in another window
    }
    const banner = document.getElementById("ended");
    if (banner) banner.hidden = true;
    tick(document);
    tick(fresh);
    localize(fresh);
    const stay = reading();
    const refocus = focusing();
    for (const old of document.querySelectorAll("[data-live]")) {
      const part = fresh.getElementById(old.id);
      if (part) update(old, part);
      else drop([old]);
    }
    for (const part of fresh.querySelectorAll("[data-live]")) {
      if (!document.getElementById(part.id)) place(part);
    }
    refocus();
    stay();
    offerCopies();
    say(document);
    show(state);
  };

  const later = (ms) => { again ??= setTimeout(refresh, ms); };
  const refresh = async () => {
    clearTimeout(again);
    again = null;
    if (asking) { later(500); return; }
    asking = true;
    try {
      const answer = await fetch(page, { headers: { Accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname === "/login") {
        loggedOut();
      } else if (answer.ok) {
        accept(new DOMParser().parseFromString(await answer.text(), "text/html"));
        away(false);
        listen();
      } else throw new Error(answer.status);
    } catch { show("no connection; trying again"); away(true); later(patience); } finally {
      asking = false;
    }
  };

  // ── time and the stream ────────────────────────────────────────────────────────────────────

  const span = (seconds) => {
    const s = Math.max(0, Math.round(seconds));
    if (s < 120) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
    return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
  };

  const tick = (where) => {
    for (const time of where.querySelectorAll("time.ago")) {
      const past = (Date.now() - Date.parse(time.dateTime)) / 1000;
      const text = past >= 0 ? `${span(past)} ago` : `in ${span(-past)}`;
      if (time.textContent !== text) time.textContent = text;
    }
  };

  const ZONED = { weekday: "short", year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
  const localize = (where) => {
    for (const time of where.querySelectorAll("time.local")) {
      time.textContent = new Date(time.dateTime).toLocaleString([], ZONED);
    }
  };
  // A link into what is folded unfolds it.
  const unfold = () => {
    const aim = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    open(aim);
    if (aim) aim.scrollIntoView();
  };

  const listen = () => {
    if (!source || events || document.hidden) return;
    events = new EventSource(source.dataset.events);
    const stream = events;
    let first = true;
    stream.onopen = () => {
      show("live, as of");
      away(false);
      patience = AGAIN.first;
      if (!first) refresh(); // something may have happened while we were away
      first = false;
    };
    stream.onerror = () => {
      show("no connection; trying again. As of");
      away(true);
      if (stream.readyState !== EventSource.CLOSED || events !== stream) return;
      events = null; // refused: the daemon is down behind a proxy, or the login has ended
      later(patience);
      patience = Math.min(2 * patience, AGAIN.most);
    };
    stream.addEventListener("changed", refresh);
  };
  const rest = () => { events?.close(); events = null; };

  // ── hurried hands ──────────────────────────────────────────────────────────────────────────

  const sent = new WeakMap();
  addEventListener("submit", (event) => {
    const form = event.target;
    if (Date.now() - (sent.get(form) ?? 0) < TWICE) event.preventDefault();
    else sent.set(form, Date.now());
  });
  addEventListener("click", (event) => {
    if (!event.detail || !event.target.closest("button")) return; // detail 0: by the keyboard
    const [x, y, at, on] = JSON.parse(sessionStorage.getItem("tap") ?? "[]");
    const near = Math.hypot(event.clientX - x, event.clientY - y) < TAP.px;
    if (near && on !== performance.timeOrigin && Date.now() - at < TAP.ms) event.preventDefault();
    sessionStorage.setItem("tap", JSON.stringify(
      [event.clientX, event.clientY, Date.now(), performance.timeOrigin]));
  }, true);

  // ── a text to copy ─────────────────────────────────────────────────────────────────────────

  const offerCopies = () => {
    if (!navigator.clipboard) return; // on plain http the text is marked and copied by hand
    for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
  };
  addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    const text = document.getElementById(button.dataset.copy);
    text.select();
    try {
      await navigator.clipboard.writeText(text.value);
      button.textContent = "Copied";
    } catch { button.textContent = "Marked: copy it by hand"; }
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { rest(); } else if (source) { listen(); refresh(); }
  });
  addEventListener("pagehide", rest);
  addEventListener("pageshow", (event) => { if (event.persisted && source) refresh(); });
  if (source?.dataset.page) history.replaceState(null, "", page); // a reload is no second try
  offerCopies();
  say(document);
  localize(document);
  addEventListener("hashchange", unfold);
  unfold();
  listen();
  setInterval(() => tick(document), 1000);
})();
