// table fills a folded table when it is first opened.
function table(id, heads, rows) {
  const box = document.getElementById(id), to = box.querySelector("div");
  const fill = () => {
    if (!box.open || to.firstChild) return;
    const t = make("table"), tr = make("tr");
    for (const h of heads) { const th = make("th", h); th.scope = "col"; tr.append(th); }
    const body = make("tbody"), all = rows();
    const add = list => { for (const row of list) { const r = make("tr"); for (const text of row) r.append(make("td", text)); body.append(r); } };
    add(all.slice(0, mostRows));
    const top = make("thead");
    top.append(tr);
    t.append(top, body);
    to.append(t);
    if (all.length <= mostRows) return;
    const more = make("button", "Show the other " + (all.length - mostRows).toLocaleString("en"));
    more.type = "button";
    more.addEventListener("click", () => { add(all.slice(mostRows)); more.remove(); });
    to.append(more);
  };
  to.replaceChildren();
  box.ontoggle = fill;
  fill();
}

const mostRows = 200; // rows that a table shows at first

function drawTables() {
  const stale = view.layers.some(l => l.stale) ? l => [l.stale ? size(l.stale) : "", (l.hiddenBy || []).join(", ")] : null;
  table("all", ["layer", "size", "compressed", "stability", "chain", "files", ...(stale ? ["stale", "hidden by"] : []), "contents"], () => view.layers.map((l, i) => {
    const layer = data.layers[l.at];
    return ["" + i, size(layer.bytes), layer.plain ? "plain" : size(layer.blob), percent(l.stability), percent(l.chain), layer.sizes.length.toLocaleString("en"),
      ...(stale ? stale(l) : []), layer.by || layerText(layer)];
  }));
  const why = document.getElementById("why");
  why.hidden = !view.parts;
  if (why.hidden) return;
  why.querySelector("summary").textContent = "What " + data.chosen + " downloads, and why";
  table("why", ["download", "changed", "unchanged", "layer", "component: why unchanged data is downloaded"], () =>
    [...view.parts].sort((a, b) => b.download - a.download).map(p =>
      [size(p.download), size(p.changed), size(p.unchanged), "" + p.layer, componentName(p.component) + ": " + p.state + (p.why ? ": " + p.why : "")]));
}

// fromAddress shows the place and search in the URL, for example
// #step=2&layer=3&component=rpm/bash&colour=stability&search=x, or #dir=/usr/lib/
function fromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const step = asked.get("step");
  if (step !== null && /^\d+$/.test(step) && data.views[+step - 1] && data.views[+step - 1] !== view) chooseStep(+step - 1, false);
  const colour = asked.get("colour");
  if (colour !== null && Object.hasOwn(ways, colour) && ways[colour].needs()) { way = colourChoice.value = colour; drawLegend(); }
  const layer = asked.get("layer"), name = asked.get("component"), dir = asked.get("dir");
  const to = top_(dir !== null && layer === null || asked.get("show") === "files" ? "files" : "layers");
  if (layer !== null && /^\d+$/.test(layer) && view.layers[+layer]) to.layer = +layer;
  const c = name === null ? -2 : data.components.indexOf(name);
  if (to.layer !== null && partsOf(to.layer).some(p => p.component === c)) { to.component = c; to.dir = "/"; }
  if (dir !== null && to.dir !== null && dir.startsWith("/")) to.dir = dir.endsWith("/") ? dir : dir + "/";
  go(to, false);
  query.value = asked.get("search") || "";
  search(query.value);
  for (const id of asked.getAll("open")) { const d = document.getElementById(id); if (d instanceof HTMLDetailsElement) d.open = true; }
}

drawSteps();
drawHead();
drawColours();
drawLegend();
document.getElementById("why").open = true;
drawTables();
fromAddress();
window.addEventListener("hashchange", fromAddress);
let wide = map.clientWidth;
new ResizeObserver(() => {
  if (map.clientWidth === wide) return;
  wide = map.clientWidth;
  draw(false);
}).observe(map);
