// Charts take their colours from the page, are drawn when they first can be seen, and again when the theme changes.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const drawn = new Map();

  function config(place) {
    const style = getComputedStyle(place);
    const [ink, line, font] = [style.color, style.borderTopColor, style.fontFamily];
    const text = { labelColor: ink, titleColor: ink, labelFont: font, titleFont: font, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" };
    return {
      axis: { ...text, gridColor: line, domainColor: line, tickColor: line, labelSeparation: 6 },
      legend: text,
      view: { stroke: null },
    };
  }

  async function draw(place) {
    const spec = JSON.parse(place.nextElementSibling.textContent);
    drawn.get(place)?.finalize();
    const options = { actions: false, renderer: "svg", config: config(place), tooltip: { theme: isDark() ? "dark" : "light" } };
    drawn.set(place, await vegaEmbed(place, spec, options));
  }

  const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const again = () => drawn.forEach((_, place) => draw(place));

  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    again();
  });
  dark.addEventListener("change", again);

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        seen.unobserve(target);
        draw(target);
      }
    }
  }, { rootMargin: "400px" });
  document.querySelectorAll(".chart").forEach((place) => seen.observe(place));
})();
