// The map shows the layers, the components of one layer, or the files of one component.
const map = document.getElementById("map");
const detail = document.getElementById("detail");
const trail = document.getElementById("trail");
// A map has a maximum number of cells and a minimum area per cell in square pixels. All smaller
// items share one cell.
const mostCells = 400, leastArea = 60;
const head = 17; // pixels for a cell's name above its contents
let place = { layer: null, component: null };
// During a search: the keys "layer" and "layer/component" with matches, and the test for a path.
let matches = null, fitsPath = null;
let cells = [];

// itemsAt returns the items at a place, the largest first.
function itemsAt(at) {
  if (at.layer === null) {
    return data.layers.map((l, i) => ({
      name: soleName(l) || "layer " + i, text: soleName(l) ? "layer " + i : layerText(l), bytes: l.bytes, stability: l.stability, missing: l.missing, key: "" + i, goes: { layer: i, component: null },
      parts: l.parts, detail: () => layerDetail(l, i),
    })).sort((a, b) => b.bytes - a.bytes);
  }
  const layer = data.layers[at.layer];
  if (at.component === null) {
    return layer.parts.map(p => ({
      name: componentName(p.component), text: count(p.files, "file"), bytes: p.bytes, stability: layer.stability, missing: layer.missing,
      key: at.layer + "/" + p.component, goes: { layer: at.layer, component: p.component },
      detail: () => ({ title: componentName(p.component), rows: [["size", size(p.bytes)], ["files", p.files.toLocaleString("en")],
        ["layer", "" + at.layer], ["stability", stabilityText(layer.stability)], ...partRows(at.layer, p.component)] }),
    }));
  }
  const paths = pathsOf(layer), items = [];
  for (let i = 0; i < paths.length; i++) {
    if (componentOf(layer, i) !== at.component) continue;
    items.push({ name: paths[i], short: paths[i].slice(paths[i].lastIndexOf("/") + 1), text: "", bytes: layer.sizes[i], stability: layer.stability, missing: layer.missing, key: null, goes: null, file: true,
      detail: () => ({ title: paths[i], rows: [["size", size(layer.sizes[i])], ["layer", "" + at.layer], ["component", componentName(at.component)]] }) });
  }
  return items.sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
}

// soleName returns the component of a layer whose history names one only.
function soleName(l) { return l.names.length === 1 ? componentName(l.names[0]) : ""; }

function layerText(l) {
  if (l.names.length === 0) return l.by || "";
  return componentName(l.names[0]) + (l.names.length > 1 ? " and " + (l.names.length - 1) + " more" : "");
}

function stabilityText(ppm) { return ppm === null ? "unknown" : percent(ppm) + " to stay unchanged for a week"; }

function layerDetail(l, i) {
  const rows = [["size", size(l.bytes)], ["compressed", l.plain ? "plain" : size(l.blob)], ["stability", stabilityText(l.stability)],
    ["chain", stabilityText(l.chain) + (l.chain === null ? "" : ", with all layers below it")], ["files", l.sizes.length.toLocaleString("en")], ["digest", l.digest]];
  if (l.by) rows.push(["made by", l.by]);
  if (data.kind === "reuse") rows.push(["client", l.missing ? "downloads it" : "has it already"]);
  return { title: "layer " + i, rows, list: l.parts.slice(0, 100).map(p => componentName(p.component) + ", " + size(p.bytes)), of: l.parts.length };
}

// partRows describe a component's part of the download, and the reason.
function partRows(layer, component) {
  const part = (data.parts || []).find(p => p.layer === layer && p.component === component);
  if (!part) return [];
  const rows = [["downloaded", size(part.download) + ": " + size(part.changed) + " changed, " + size(part.unchanged) + " unchanged"], ["state", part.state]];
  if (part.why) rows.push(["why", part.why]);
  return rows;
}

// gather combines all items that would be too small.
function gather(items, area) {
  const total = items.reduce((sum, x) => sum + Math.max(1, x.bytes), 0);
  let n = Math.min(items.length, mostCells);
  while (n > 1 && Math.max(1, items[n - 1].bytes) / total * area < leastArea) n--;
  if (n >= items.length - 1) return items;
  const rest = items.slice(n), bytes = rest.reduce((sum, x) => sum + x.bytes, 0);
  return [...items.slice(0, n), {
    name: rest.length.toLocaleString("en") + " smaller", text: "", bytes, floor: total * leastArea * 6 / area, stability: null, missing: rest.some(x => x.missing), key: null, goes: null,
    rest,
    detail: () => ({ title: rest.length.toLocaleString("en") + " smaller ones", rows: [["size", size(bytes)]], list: rest.slice(0, 100).map(x => x.name + ", " + size(x.bytes)), of: rest.length }),
  }];
}

function draw(focus) {
  const w = map.clientWidth, h = map.clientHeight;
  const items = gather(itemsAt(place), w * h);
  const rects = squarify(items.map(x => Math.max(1, x.bytes, x.floor || 0)), 0, 0, w, h);
  map.replaceChildren();
  cells = items.map((item, i) => cell(item, rects[i], i));
  map.append(...cells.map(c => c.button));
  mark();
  drawTrail();
  if (cells.length === 0) { detail.replaceChildren(make("p", "No files here.")); return; }
  choose(cells[0], focus);
}

function cell(item, r, i) {
  const button = make("button", undefined, "cell " + (item.rest ? "cr" : colour(item.stability)) + (item.missing ? " missing" : ""));
  button.type = "button";
  button.tabIndex = -1;
  button.setAttribute("aria-label", item.name + ", " + size(item.bytes) + (item.rest ? "" : ", stability " + percent(item.stability)) +
    (item.missing ? ", downloaded" : "") + (item.text ? ", " + item.text : "") + (item.goes ? "" : ", no items inside"));
  button.title = item.name + "\n" + size(item.bytes) + (item.text ? "\n" + item.text : "");
  Object.assign(button.style, { left: r.x + "px", top: r.y + "px", width: Math.max(1, r.w) + "px", height: Math.max(1, r.h) + "px" });
  if (r.w > 36 && r.h > head) button.append(make("b", (item.missing ? "↓ " : "") + (item.short || item.name) + " · " + size(item.bytes)));
  const nested = item.parts && item.parts.length > 1 && r.h > 3 * head && r.w > 60;
  if (nested) nest(button, item, r);
  else if (item.text && r.h > 2 * head && r.w > 36) button.append(make("span", item.text));
  const c = { button, item, rect: r, i };
  button.addEventListener("click", () => { choose(c, true); if (item.goes) go(item.goes, true); });
  button.addEventListener("focus", () => choose(c, false));
  button.addEventListener("pointerenter", () => { if (!map.contains(document.activeElement)) choose(c, false); });
  return c;
}

// nest draws the components of a layer into its cell, if they are large enough to see.
function nest(button, item, r) {
  const border = item.missing ? 3 : 1, w = r.w - 2 * border, h = r.h - 2 * border - head;
  const total = item.parts.reduce((sum, p) => sum + Math.max(1, p.bytes), 0);
  const seen = item.parts.filter(p => Math.max(1, p.bytes) / total * w * h >= leastArea);
  const values = seen.map(p => Math.max(1, p.bytes));
  const rest = total - values.reduce((a, b) => a + b, 0);
  if (rest > 0) values.push(rest);
  squarify(values, 0, head, w, h).forEach((q, i) => {
    const part = make("i", seen[i] && q.w > 40 && q.h > 13 ? componentName(seen[i].component) : "");
    Object.assign(part.style, { left: q.x + "px", top: q.y + "px", width: q.w + "px", height: q.h + "px" });
    button.append(part);
  });
}

// choose makes a cell the Tab stop and shows its details.
function choose(c, focus) {
  for (const other of cells) other.button.tabIndex = other === c ? 0 : -1;
  if (focus) c.button.focus();
  const d = c.item.detail(), list = make("dl");
  for (const [name, value] of d.rows) list.append(make("dt", name), make("dd", value));
  detail.replaceChildren(make("h2", d.title), list);
  if (!d.list) return;
  const names = make("ul");
  for (const text of d.list) names.append(make("li", text));
  detail.append(names);
  if (d.of > d.list.length) detail.append(make("p", "and " + (d.of - d.list.length).toLocaleString("en") + " more"));
}

// go shows another place. For a layer with one component that is the component.
function go(to, focus) {
  if (to.layer !== null && to.component === null && data.layers[to.layer].parts.length === 1) to = { layer: to.layer, component: data.layers[to.layer].parts[0].component };
  place = to;
  draw(focus);
}

// up goes to the parent place and selects the cell of the current one.
function up() {
  if (place.layer === null) return;
  const from = place;
  const several = data.layers[from.layer].parts.length > 1;
  place = from.component !== null && several ? { layer: from.layer, component: null } : { layer: null, component: null };
  const key = place.layer === null ? "" + from.layer : from.layer + "/" + from.component;
  draw(false);
  choose(cells.find(c => c.item.key === key) || cells[cells.length - 1], true);
}

function drawTrail() {
  const steps = [["the image", { layer: null, component: null }]];
  if (place.layer !== null) steps.push(["layer " + place.layer, { layer: place.layer, component: null }]);
  if (place.component !== null) steps.push([componentName(place.component), place]);
  trail.replaceChildren();
  steps.forEach(([name, to], i) => {
    if (i > 0) trail.append(" › ");
    if (i === steps.length - 1) { const here = make("strong", name); here.setAttribute("aria-current", "page"); trail.append(here); return; }
    const b = make("button", name);
    b.type = "button";
    b.addEventListener("click", () => go(to, true));
    trail.append(b);
  });
}

// mark dims cells without a match.
function mark() {
  for (const c of cells) {
    const fits = x => x.file ? fitsPath(x.name) : matches.has(x.key);
    c.button.classList.toggle("dim", matches !== null && !(c.item.rest || [c.item]).some(fits));
  }
}

// beside returns the nearest cell in a direction.
function beside(from, dx, dy) {
  const mid = r => [r.x + r.w / 2, r.y + r.h / 2];
  const [x, y] = mid(from.rect);
  let best = null, least = Infinity;
  for (const c of cells) {
    const [cx, cy] = mid(c.rect), ahead = (cx - x) * dx + (cy - y) * dy, aside = Math.abs((cx - x) * dy) + Math.abs((cy - y) * dx);
    if (c === from || ahead <= 0) continue;
    const far = ahead + 2 * aside;
    if (far < least) { least = far; best = c; }
  }
  return best;
}

map.addEventListener("keydown", event => {
  const from = cells.find(c => c.button === document.activeElement);
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  let to = null;
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (arrows[event.key] && from) to = beside(from, ...arrows[event.key]);
  else if (event.key === "Home") to = cells[0];
  else if (event.key === "End") to = cells[cells.length - 1];
  else if (event.key === "Escape" || event.key === "Backspace") { event.preventDefault(); up(); return; }
  else return;
  event.preventDefault();
  if (to) choose(to, true);
});
