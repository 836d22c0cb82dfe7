// Search goes through all paths and components in slices, so that the page stays responsive.
const query = document.getElementById("query"), found = document.getElementById("found"), results = document.getElementById("results");
const slice = 40000, mostShown = 200;
let turn = 0;

function search(text) {
  const mine = ++turn;
  if (text === "") {
    matches = fitsPath = null;
    results.hidden = true;
    found.textContent = "";
    mark();
    return;
  }
  const any = text === text.toLowerCase(); // case matters only if there are capital letters
  const fits = any ? s => s.toLowerCase().includes(text) : s => s.includes(text);
  const seen = new Set(), shown = [];
  const named = new Set();
  data.components.forEach((name, c) => { if (fits(name)) named.add(c); });
  let n = 0, layer = 0, at = 0;
  view.layers.forEach((l, i) => partsOf(i).forEach(p => {
    if (!named.has(p.component)) return;
    seen.add("" + i).add(i + "/" + p.component);
    if (shown.length < mostShown) shown.push({ text: componentName(p.component), note: "component, " + size(p.bytes) + ", layer " + i, goes: { by: "layers", layer: i, component: p.component, dir: "/" } });
    n++;
  }));
  const step = () => {
    if (mine !== turn) return; // another search has started
    for (let left = slice; left > 0 && layer < view.layers.length;) {
      const l = layerAt(layer), paths = pathsOf(l), end = Math.min(paths.length, at + left);
      left -= end - at + 1;
      for (; at < end; at++) {
        if (!fits(paths[at])) continue;
        n++;
        const c = componentOf(l, at);
        seen.add("" + layer).add(layer + "/" + c);
        if (shown.length < mostShown) shown.push({ text: paths[at], note: size(l.sizes[at]) + ", layer " + layer + ", " + componentName(c), goes: { by: "layers", layer, component: c, dir: paths[at].slice(0, paths[at].lastIndexOf("/") + 1) }, path: paths[at] });
      }
      if (at >= paths.length) { layer++; at = 0; }
    }
    if (layer < view.layers.length) { found.textContent = "searching…"; setTimeout(step); return; }
    matches = seen;
    fitsPath = fits;
    mark();
    show(n, shown);
  };
  step();
}

function show(n, shown) {
  found.textContent = n === 0 ? "nothing found" : n.toLocaleString("en") + " found" + (n > shown.length ? ", the first " + shown.length + " are listed" : "");
  results.hidden = n === 0;
  results.replaceChildren(...shown.map(s => {
    const li = make("li"), b = make("button", s.text);
    b.type = "button";
    b.addEventListener("click", () => {
      go(s.goes, true);
      const c = s.path && cells.find(c => c.item.name === s.path);
      if (c) choose(c, true);
    });
    li.append(b, " ", make("small", s.note));
    return li;
  }));
}

let wait = 0;
query.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(() => search(query.value.trim()), 150); });
query.addEventListener("keydown", event => {
  if (event.key === "Escape") { query.value = ""; search(""); cells.find(c => c.button.tabIndex === 0)?.button.focus(); event.preventDefault(); }
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== query && !event.ctrlKey && !event.altKey && !event.metaKey) { query.focus(); event.preventDefault(); }
});
