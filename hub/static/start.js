// Starts a session with given options, once the one before has ended, and goes to its page.
window.labStart = function (name, options, say) {
  "use strict";
  var RETRY_MS = 2000;
  var MOST_TRIES = 45;
  var base = window.jhdata.base_url;
  var user = encodeURIComponent(window.jhdata.user);
  var server = name ? "servers/" + encodeURIComponent(name) : "server";
  var page = base + "spawn-pending/" + user + (name ? "/" + encodeURIComponent(name) : "");

  function ask(method, body) {
    return fetch(base + "api/users/" + user + "/" + server, {
      method: method, credentials: "same-origin", body: body,
      headers: { "X-XSRFToken": window.jhdata.xsrf_token, "Content-Type": "application/json" },
    });
  }

  function begin(tries) {
    return ask("POST", JSON.stringify({ user_options: options })).then(function (reply) {
      if (reply.ok) { window.location = page; return; }
      // 400 while the session before is still ending.
      if (reply.status === 400 && tries) {
        setTimeout(function () { begin(tries - 1); }, RETRY_MS);
        return;
      }
      say("The session did not start. Start it from the home page.");
    }).catch(function () { say("The hub does not answer just now. Try again in a few seconds."); });
  }

  // Whatever is there, a start that waits too; 404 where nothing is.
  return ask("DELETE").catch(function () { return null; }).then(function () {
    return begin(MOST_TRIES);
  });
};
