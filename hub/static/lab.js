// Keeps the hub's home page up to date by asking every 15 seconds. What people wrote is only ever
// set as text.
(function () {
  "use strict";
  var REFRESH_MS = 15000;
  var base = window.jhdata.base_url;
  var home = window.labHome;
  var wasOpen = false;

  function get(id) { return document.getElementById(id); }

  function make(tag, text, className) {
    var element = document.createElement(tag);
    if (text) { element.textContent = text; }
    if (className) { element.className = className; }
    return element;
  }

  function put(id, text) { if (get(id)) { get(id).textContent = text || ""; } }

  function notice(one) {
    var box = make("div", "", "alert " + (["warning", "idle", "turn"].indexOf(one.kind) >= 0 ? "alert-warning" : "alert-info"));
    box.append(make("span", one.text), make("span", one.at, "lab-when"));
    return box;
  }

  function session(one) {
    var list = make("dl", "", "lab-dl");
    function row(name, value) { if (value) { list.append(make("dt", name), make("dd", value)); } }
    if (!one.keeps_place) { row("Name", one.server_name); }
    row("Flavor", one.title);
    row("State", one.state);
    row("Started", one.started);
    row("GPU", one.gpu);
    row("Ends at the latest", one.ends && one.ends + (one.left ? ", in " + one.left : ""));
    var buttons = make("p", "", "lab-buttons");
    function offer(text, look, act) {
      var button = make("button", text, "btn btn-outline-" + look);
      button.type = "button";
      button.addEventListener("click", function () { act(button); });
      buttons.append(button);
    }
    if (one.can_keep) {
      offer("Keep the GPU", "primary", function (button) { tell(button, "keep", one.server_name); });
    }
    if (one.turn) {
      offer("Stop the CPU session and start on the GPU", "primary", function (button) {
        button.disabled = true;
        put("lab-stopping", "Stopping the session before…");
        window.labStart("", one.turn, function (text) { put("lab-stopping", text); });
      });
    }
    if (one.keeps_place) {
      offer("Leave the line", "danger", function (button) { tell(button, "leave", one.server_name); });
    }
    var box = make("div", "");
    box.append(list, buttons);
    return box;
  }

  function fill(id, elements) { if (get(id)) { get(id).replaceChildren.apply(get(id), elements); } }

  // Notices are spoken by screen readers, so they are touched only when they changed.
  var lastNotices = "";
  function show(me) {
    if (!me.answered) {
      put("lab-balance", me.sentence);
      put("lab-resets", "");
      return;
    }
    put("lab-balance", me.balance + (me.debt ? " (more was used than there was)" : ""));
    put("lab-resets", me.resets);
    var notices = JSON.stringify(me.notices);
    if (notices !== lastNotices) {
      lastNotices = notices;
      fill("lab-notices", me.notices.map(notice));
    }
    fill("lab-sessions", me.sessions.length
      ? me.sessions.map(session) : [make("p", "No session is running.")]);
    var isOpen = me.sessions.some(function (one) { return one.server_name === ""; });
    // The buttons are the hub's own. Once a session that was seen here is gone, they are out of
    // date; a page that never saw it does not reload, or it would do so for ever.
    if (home && wasOpen && !isOpen) { window.location.reload(); }
    wasOpen = isOpen;
  }

  function refresh() {
    fetch(base + "gpulab/me", { credentials: "same-origin", cache: "no-store" })
      .then(function (reply) {
        if (reply.status === 403) { window.location.reload(); }
        if (!reply.ok) { throw new Error(reply.status); }
        return reply.json();
      })
      .then(show)
      .catch(function () { put("lab-balance", "The hub does not answer just now. Trying again…"); });
  }

  function tell(button, what, name) {
    button.disabled = true;
    fetch(base + "gpulab/" + what, {
      method: "POST", credentials: "same-origin",
      headers: { "X-XSRFToken": window.jhdata.xsrf_token },
      body: new URLSearchParams({ server_name: name }),
    })
      .then(function (reply) { return reply.json(); })
      .then(function (told) { put("lab-stopping", told.message); refresh(); })
      .catch(function () {
        button.disabled = false;
        put("lab-stopping", "The hub did not take the answer. Try again in a few seconds.");
      });
  }

  function stop(event) {
    var name = event.target.dataset.stop;
    event.target.disabled = true;
    put("lab-stopping", "Stopping…");
    require(["jhapi"], function (JHAPI) {
      var done = {
        success: function () { window.location.reload(); },
        error: function () {
          event.target.disabled = false;
          put("lab-stopping", "The hub did not take the stop. Try again in a few seconds.");
        },
      };
      var api = new JHAPI(base);
      if (name) { api.stop_named_server(window.jhdata.user, name, done); }
      else { api.stop_server(window.jhdata.user, done); }
    });
  }

  document.querySelectorAll("[data-stop]").forEach(function (button) {
    button.addEventListener("click", stop);
  });
  if (get("new-server")) {
    get("new-server").addEventListener("submit", function (event) {
      event.preventDefault();
      window.location = home.spawnUrl + encodeURIComponent(get("new-name").value);
    });
  }
  refresh();
  setInterval(refresh, REFRESH_MS);
})();
