// The bars show before and after. Their lengths are relative to the largest.
function drawBars() {
  const box = document.getElementById("bars"), most = Math.max(1, ...data.bars.map(b => b.total)), used = new Map();
  for (const b of data.bars) {
    const row = make("div", undefined, "bar"), track = make("div", undefined, "track"), name = make("span", b.name, "name");
    name.title = b.name;
    for (const s of b.segments) {
      if (s.bytes === 0) continue;
      const part = make("i", undefined, s.kind);
      part.style.width = s.bytes / most * 100 + "%";
      part.title = s.name + ": " + size(s.bytes);
      track.append(part);
      used.set(s.kind, s.name);
    }
    track.setAttribute("role", "img");
    track.setAttribute("aria-label", b.segments.map(s => s.name + ": " + size(s.bytes)).join(", "));
    row.append(name, track, make("span", size(b.total), "sum"));
    box.append(row);
  }
  const keys = make("div", undefined, "keys");
  for (const [kind, name] of used) keys.append(key(kind, name));
  if (data.steps > 1) keys.append(make("span", data.chosen + ": " + data.steps + " steps, " + size(data.mean) + " per step on average; the last one is shown below"));
  box.append(keys);
}

function key(kind, name) {
  const k = make("span", undefined, "key");
  k.append(make("i", undefined, kind), name);
  return k;
}

function drawLegend() {
  const legend = document.getElementById("legend");
  legend.className = "keys";
  legend.append(make("span", "Chance to stay unchanged for a week:"));
  classes.forEach((c, i) => legend.append(key("c" + i, c[1])));
  legend.append(key("cu", "unknown"));
  if (data.kind === "reuse") {
    const k = key("", "↓ downloaded");
    k.classList.add("missing");
    legend.append(k);
  }
}

// drawClients lists the cost of the last update for each client.
function drawClients() {
  const list = document.getElementById("clients"), names = { docker: "docker (overlay2)" };
  for (const c of data.clients || []) {
    const unpacks = c.unpack_bytes === undefined ? "" : size(c.unpack_bytes) + " in ";
    list.append(make("li", (names[c.client] || c.client) + " downloads " + size(c.download_bytes) + " in " + count(c.download_layers, "layer") +
      " and unpacks " + unpacks + count(c.unpack_layers, "layer") + "."));
  }
  list.hidden = list.children.length === 0;
}

// table fills a folded table when it is first opened.
function table(id, heads, rows) {
  const box = document.getElementById(id);
  box.addEventListener("toggle", () => {
    const to = box.querySelector("div");
    if (!box.open || to.firstChild) return;
    const t = make("table"), tr = make("tr");
    for (const h of heads) { const th = make("th", h); th.scope = "col"; tr.append(th); }
    const body = make("tbody");
    for (const row of rows()) { const r = make("tr"); for (const text of row) r.append(make("td", text)); body.append(r); }
    const top = make("thead");
    top.append(tr);
    t.append(top, body);
    to.append(t);
  });
}

// fromAddress shows the place and search in the URL: #layer=3&component=rpm/bash&search=x
function fromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const layer = asked.get("layer"), name = asked.get("component");
  let to = { layer: null, component: null };
  if (layer !== null && /^\d+$/.test(layer) && data.layers[+layer]) to.layer = +layer;
  const c = name === null ? -2 : data.components.indexOf(name);
  if (to.layer !== null && data.layers[to.layer].parts.some(p => p.component === c)) to.component = c;
  go(to, false);
  query.value = asked.get("search") || "";
  search(query.value);
  for (const id of asked.getAll("open")) { const d = document.getElementById(id); if (d instanceof HTMLDetailsElement) d.open = true; }
}

drawBars();
drawClients();
drawLegend();
table("all", ["layer", "size", "compressed", "stability", "chain", "files", "holds"], () => data.layers.map((l, i) =>
  ["" + i, size(l.bytes), l.plain ? "plain" : size(l.blob), percent(l.stability), percent(l.chain), l.sizes.length.toLocaleString("en"), layerText(l)]));
if (data.parts) {
  const why = document.getElementById("why");
  why.hidden = false;
  why.querySelector("summary").textContent = "What " + data.chosen + " downloads, and why";
  table("why", ["download", "changed", "unchanged", "layer", "component: why unchanged data is downloaded"], () =>
    data.parts.sort((a, b) => b.download - a.download).map(p =>
    [size(p.download), size(p.changed), size(p.unchanged), "" + p.layer, componentName(p.component) + ": " + p.state + (p.why ? ": " + p.why : "")]));
}
fromAddress();
window.addEventListener("hashchange", fromAddress);
let wide = map.clientWidth;
new ResizeObserver(() => {
  if (map.clientWidth === wide) return;
  wide = map.clientWidth;
  draw(false);
}).observe(map);
