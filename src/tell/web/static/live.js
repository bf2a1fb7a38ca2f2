// Live updates, and nothing else: the page works the same without this file.
//
// The server says on /events that something changed, or that time has passed; the page is then asked for again and its
// main part replaced. While paused or cut off, the page says so and its ages keep growing.
"use strict";

(function () {
  var AGE_EVERY_MS = 5000;
  var box = document.getElementById("live");
  var word = document.getElementById("live-word");
  var button = document.getElementById("live-pause");
  var broken = document.getElementById("broken");
  if (!box || !window.EventSource) { return; }

  var paused = false;
  var cutSince = null;
  var busy = false;
  var again = false;
  var serverAhead = Date.parse(document.getElementById("facts").dataset.made) - Date.now();

  function span(ms) {
    if (ms < 60000) { return Math.floor(ms / 1000) + " s"; }
    if (ms < 3600000) { return Math.floor(ms / 60000) + " min"; }
    if (ms < 86400000) { return Math.floor(ms / 3600000) + " h"; }
    return Math.floor(ms / 86400000) + " d";
  }

  function age(ms) {
    return ms < 1000 ? "just now" : span(ms) + " ago";
  }

  function growOlder() {
    var now = Date.now() + serverAhead;
    document.querySelectorAll("time[datetime]:not([data-fixed])").forEach(function (time) {
      var ms = now - Date.parse(time.dateTime);
      if (/ ago$|^just now$/.test(time.textContent) && ms >= 0) { time.textContent = age(ms); }
      // What was to come may not pass for what has come: only the server says that it has.
      if (/^in |^any moment$/.test(time.textContent)) { time.textContent = ms < -1000 ? "in " + span(-ms) : "any moment"; }
    });
    if (cutSince !== null) {
      broken.textContent = "Connection to Arcology lost " + age(Date.now() - cutSince) + ". What stands below was true then; it is not updated.";
    }
  }

  function show() {
    button.textContent = paused ? "Resume" : "Pause";
    word.textContent = paused ? "Updates paused" : cutSince !== null ? "Not connected" : "Live";
    broken.hidden = cutSince === null;
    document.body.classList.toggle("cut-off", paused || cutSince !== null);
    growOlder();
  }

  // Someone who writes into a form or has selected text is not disturbed.
  function occupied() {
    var at = document.activeElement;
    var typing = at && /^(INPUT|SELECT|TEXTAREA|AUDIO|VIDEO)$/.test(at.tagName);
    var playing = Array.prototype.some.call(document.querySelectorAll("audio, video"), function (media) { return !media.paused; });
    return typing || playing || String(window.getSelection()) !== "";
  }

  function openDetails(root) {
    return Array.prototype.map.call(root.querySelectorAll("details"), function (one) { return one.open; });
  }

  // Drawings that were scrolled stay where they were.
  function scrolls(root) {
    return Array.prototype.map.call(root.querySelectorAll(".scroll"), function (one) { return one.scrollLeft; });
  }

  function put(page) {
    ["facts", "main"].forEach(function (id) {
      var fresh = page.getElementById(id);
      var old = document.getElementById(id);
      if (!fresh || !old || fresh.textContent === old.textContent && fresh.innerHTML === old.innerHTML) { return; }
      var open = openDetails(old);
      var scrolled = scrolls(old);
      var focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      old.replaceWith(document.importNode(fresh, true));
      var placed = document.getElementById(id);
      placed.querySelectorAll("details").forEach(function (one, at) { one.open = Boolean(open[at]); });
      placed.querySelectorAll(".scroll").forEach(function (one, at) { if (scrolled[at] !== undefined) { one.scrollLeft = scrolled[at]; } });
      if (focused !== null) {
        var same = Array.prototype.find.call(placed.querySelectorAll("a[href]"), function (a) { return a.getAttribute("href") === focused; });
        if (same) { same.focus({ preventScroll: true }); }
      }
    });
    serverAhead = Date.parse(document.getElementById("facts").dataset.made) - Date.now();
    growOlder();
  }

  function refresh() {
    if (paused || document.hidden || occupied()) { return; }
    if (busy) { again = true; return; }
    busy = true;
    var request = new XMLHttpRequest();
    request.responseType = "document";
    request.open("GET", location.href);
    request.setRequestHeader("Accept", "text/html");
    request.onload = function () {
      if (request.status === 200 && request.responseXML) { put(request.responseXML); }
    };
    request.onloadend = function () {
      busy = false;
      if (again) { again = false; refresh(); }
    };
    request.send();
  }

  var source = new EventSource("/events");
  source.addEventListener("picture", refresh);
  source.addEventListener("tick", refresh);
  source.onopen = function () {
    var wasCut = cutSince !== null;
    cutSince = null;
    show();
    if (wasCut) { refresh(); }
  };
  source.onerror = function () {
    if (cutSince === null) { cutSince = Date.now(); }
    show();
  };
  button.addEventListener("click", function () {
    paused = !paused;
    show();
    refresh();
  });
  document.addEventListener("visibilitychange", refresh);
  setInterval(growOlder, AGE_EVERY_MS);
  box.hidden = false;
  word.textContent = "Connecting";
})();
