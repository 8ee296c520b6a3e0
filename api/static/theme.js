// Light or dark, before the page is drawn: what somebody chose here, else what their machine says.
// The key is the one that JupyterHub's own pages use.
(function () {
  "use strict";
  var KEY = "jupyterhub-bs-theme";
  var dark = window.matchMedia("(prefers-color-scheme: dark)");

  function chosen() { try { return localStorage.getItem(KEY); } catch (_) { return null; } }
  function apply() {
    document.documentElement.dataset.bsTheme = chosen() || (dark.matches ? "dark" : "light");
  }

  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", function () {
    var button = document.getElementById("theme-toggle");
    function label() {
      button.textContent = document.documentElement.dataset.bsTheme === "dark" ? "Light mode" : "Dark mode";
    }
    button.hidden = false;
    label();
    button.addEventListener("click", function () {
      var other = document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark";
      try { localStorage.setItem(KEY, other); } catch (_) { /* Then it holds for this page. */ }
      document.documentElement.dataset.bsTheme = other;
      label();
    });
  });
})();
