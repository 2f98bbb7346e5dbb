// Charts take their colours from the page, are drawn when they first can be seen or before printing, and again when the
// theme changes.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const drawn = new Map(); // place -> promise of its last drawing, which begins when the one before has ended

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

  async function replace(place, before) {
    (await before?.catch(() => null))?.finalize();
    const spec = JSON.parse(place.nextElementSibling.textContent);
    const options = { actions: false, renderer: "svg", config: config(place), tooltip: { theme: isDark() ? "dark" : "light" } };
    return vegaEmbed(place, spec, options);
  }

  function draw(place) {
    seen.unobserve(place);
    drawn.set(place, replace(place, drawn.get(place)));
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
      if (isIntersecting) draw(target);
    }
  }, { rootMargin: "400px" });
  const places = [...document.querySelectorAll(".chart")];
  places.forEach((place) => seen.observe(place));
  // One in a closed part has no width to be drawn in, and is not printed.
  addEventListener("beforeprint", () => places.filter((place) => place.clientWidth && !drawn.has(place)).forEach(draw));
})();
