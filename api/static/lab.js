// What the pages do beyond HTML; each of them works without it.
//
// data-refresh="URL"    this element is drawn anew every 15 seconds while somebody looks
// data-ask="..."        a form that asks before it is sent
// data-filter="#table"  a field that hides the rows that do not contain what is typed
// data-file-into="#id"  a file whose text goes into a field
// data-choose-all       a box that checks all boxes of its table
// data-title-count="3"  so many people wait: the title says so, also in a tab that is not looked at
(function () {
  "use strict";
  var REFRESH_MS = 15000;

  function each(selector, deed) { document.querySelectorAll(selector).forEach(deed); }

  // While somebody types or has opened something in it, a part stays as it is.
  function isInUse(part) {
    return part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")
      || part.querySelector("dialog[open]") !== null;
  }

  function refresh() {
    each("[data-refresh]", function (part) {
      // Who waits is counted in the title of a tab that is not looked at, too.
      if (document.hidden && !part.querySelector("[data-title-count]")) { return; }
      if (isInUse(part)) { return; }
      window.htmx.ajax("GET", part.dataset.refresh, { target: part, swap: "innerMorph" })
        .then(function () { part.dispatchEvent(new CustomEvent("lab:refreshed", { bubbles: true })); })
        .catch(function () { /* The next time, perhaps. */ });
    });
  }
  setInterval(refresh, REFRESH_MS);
  document.addEventListener("visibilitychange", refresh);

  document.addEventListener("submit", function (event) {
    var question = event.target.dataset.ask;
    if (question && !window.confirm(question)) { event.preventDefault(); return; }
    // Pressing twice sends once; the id in the form would make twice once anyway.
    setTimeout(function () {
      event.target.querySelectorAll("button").forEach(function (one) { one.disabled = true; });
    });
  });
  window.addEventListener("pageshow", function () {
    each("form button[disabled]", function (one) { one.disabled = false; });
  });

  function filter(field) {
    var words = field.value.trim().toLowerCase().split(/\s+/);
    each(field.dataset.filter + " tbody tr", function (row) {
      var text = row.textContent.toLowerCase();
      row.hidden = !words.every(function (word) { return text.includes(word); });
    });
  }
  document.addEventListener("input", function (event) {
    if (event.target.matches("[data-filter]")) { filter(event.target); }
  });
  document.addEventListener("lab:refreshed", function () { each("[data-filter]", filter); });

  function count() {
    each("[data-title-count]", function (part) {
      var waiting = part.dataset.titleCount;
      var title = document.title.replace(/^\(\d+\) /, "");
      document.title = waiting === "0" ? title : "(" + waiting + ") " + title;
    });
  }
  document.addEventListener("lab:refreshed", count);
  count();

  document.addEventListener("change", function (event) {
    var target = event.target;
    if (target.dataset.fileInto && target.files.length) {
      target.files[0].text().then(function (text) {
        document.querySelector(target.dataset.fileInto).value = text;
      });
    }
    if (target.matches("[data-choose-all]")) {
      target.closest("table").querySelectorAll("tbody tr:not([hidden]) input[type=checkbox]")
        .forEach(function (one) { one.checked = target.checked; });
    }
  });
})();
