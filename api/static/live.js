// The live chart of how busy a session keeps its GPU.
//
// data-use='{"from_s": 1780000000, "percents": [40, null, 55], "zone": "Europe/Berlin"}'
//
// The page's own refreshing puts the next minutes there. What it says stands beside it as a picture
// and as a table, for whoever has no scripts or no eyes for this one.
(function () {
  "use strict";
  var HEIGHT = 180;
  var charts = new Map();

  function colour(name) {
    return function () { return getComputedStyle(document.documentElement).getPropertyValue(name); };
  }

  function numbers(use) {
    var times = use.percents.map(function (_, place) { return use.from_s + 60 * place; });
    return [times, use.percents];
  }

  function options(part, use) {
    var clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: use.zone });
    function time(at) { return clock.format(new Date(at * 1000)); }
    // Without a pointer on the chart there is no place.
    function isHere(place) { return place !== null && place !== undefined; }
    var axis = { stroke: colour("--bs-body-color"), grid: { stroke: colour("--bs-border-color"), width: 1 },
                 ticks: { stroke: colour("--bs-border-color"), width: 1 } };
    return {
      width: part.clientWidth, height: HEIGHT,
      tzDate: function (at) { return window.uPlot.tzDate(new Date(at * 1000), use.zone); },
      scales: { y: { range: [0, 100] } },
      cursor: { drag: { x: false, y: false } },
      series: [
        { label: "Time", value: function (_, at, __, place) { return isHere(place) ? time(at) : "–"; } },
        { label: "GPU use", stroke: colour("--bs-primary"), width: 2,
          value: function (_, percent, __, place) {
            if (!isHere(place)) { return "–"; }
            return percent === null ? "not measured" : percent + " %";
          } }
      ],
      axes: [
        Object.assign({ size: 36, values: function (_, splits) { return splits.map(time); } }, axis),
        Object.assign({ size: 58, values: function (_, splits) { return splits.map(function (one) { return one + " %"; }); } }, axis)
      ]
    };
  }

  var widths = new ResizeObserver(function (changes) {
    changes.forEach(function (one) {
      var chart = charts.get(one.target);
      if (chart && one.target.clientWidth) { chart.setSize({ width: one.target.clientWidth, height: HEIGHT }); }
    });
  });

  function draw() {
    charts.forEach(function (chart, part) {
      if (part.isConnected && part.dataset.use) { return; }
      widths.unobserve(part);
      chart.destroy();
      charts.delete(part);
    });
    document.querySelectorAll("[data-use]").forEach(function (part) {
      var use = JSON.parse(part.dataset.use);
      if (charts.has(part)) { charts.get(part).setData(numbers(use)); return; }
      charts.set(part, new window.uPlot(options(part, use), numbers(use), part));
      widths.observe(part);
    });
  }

  document.addEventListener("lab:refreshed", draw);
  new MutationObserver(function () {
    charts.forEach(function (chart) { chart.redraw(); });
  }).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
  draw();
})();
