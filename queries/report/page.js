"use strict";
(async () => {
  for (const place of document.querySelectorAll("details[data-origin]")) {
    place.addEventListener("toggle", () => {
      const tree = document.getElementById("origin-" + place.dataset.origin);
      if (place.open && tree && place.childElementCount === 1) place.append(tree.content.cloneNode(true));
    });
  }
  const config = {
    responsive: true, displaylogo: false, showSendToCloud: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
  };
  const plots = [...document.querySelectorAll("[data-figure]")];
  for (const place of plots) {
    const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
    await Plotly.newPlot(place, figure.data, figure.layout, config);
    place.dataset.drawn = "yes";
  }
  document.documentElement.dataset.ready = "yes";
  // paper is narrower than the screen, and the size of an SVG doesn't follow by itself
  addEventListener("beforeprint", () => plots.forEach((place) => Plotly.relayout(place, { width: Math.min(680, place.clientWidth) })));
  addEventListener("afterprint", () => plots.forEach((place) => Plotly.relayout(place, { width: null, autosize: true })));
})();
