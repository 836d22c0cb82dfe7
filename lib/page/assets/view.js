// The map draws the items at a place as cells.
const map = document.getElementById("map");
const detail = document.getElementById("detail");
const trail = document.getElementById("trail");
// A map has a maximum number of cells and a minimum area per cell in square pixels. All smaller
// items share one cell.
const mostCells = 400, leastArea = 60;
const head = 17; // pixels for a cell's name above its contents
// During a search: the keys "layer" and "layer/component" with matches, and the test for a path.
let matches = null, fitsPath = null;
let cells = [];

// gather combines all items that would be too small.
function gather(items, area) {
  const total = items.reduce((sum, x) => sum + Math.max(1, x.sum.bytes), 0);
  let n = Math.min(items.length, mostCells);
  while (n > 1 && Math.max(1, items[n - 1].sum.bytes) / total * area < leastArea) n--;
  if (n >= items.length - 1) return items;
  const rest = items.slice(n), sum = newSum();
  for (const x of rest) {
    sum.bytes += x.sum.bytes;
    x.sum.mix.forEach((b, fate) => sum.mix[fate] += b);
  }
  return [...items.slice(0, n), {
    name: rest.length.toLocaleString("en") + " smaller", text: "", sum, floor: total * leastArea * 6 / area, missing: rest.some(x => x.missing), key: null, goes: null, rest,
    detail: () => ({ title: rest.length.toLocaleString("en") + " smaller ones", rows: [["size", size(sum.bytes)], ...fateRows(sum)], list: rest.slice(0, 100).map(x => x.name + ", " + size(x.sum.bytes)), of: rest.length }),
  }];
}

function draw(focus) {
  const w = map.clientWidth, h = map.clientHeight;
  const items = gather(itemsAt(place), w * h);
  const rects = squarify(items.map(x => Math.max(1, x.sum.bytes, x.floor || 0)), 0, 0, w, h);
  map.replaceChildren();
  cells = items.map((item, i) => cell(item, rects[i], i));
  map.append(...cells.map(c => c.button));
  mark();
  drawTrail();
  if (cells.length === 0) { detail.replaceChildren(make("p", "No files here.")); return; }
  choose(cells[0], focus);
}

function cell(item, r, i) {
  const button = make("button", undefined, "cell"), downloaded = isReuse && item.missing;
  if (item.rest && way !== "fate" && way !== "waste") button.classList.add("cr");
  else paint(button, item.sum);
  button.type = "button";
  button.tabIndex = -1;
  const fate = fateText(item.sum);
  button.setAttribute("aria-label", item.name + ", " + size(item.sum.bytes) + (item.rest ? "" : ", stability " + percent(stabilityOf(item.sum))) +
    (fate ? ", " + fate : "") + (item.text ? ", " + item.text : "") + (item.goes ? "" : ", no items inside"));
  button.title = item.name + "\n" + size(item.sum.bytes) + (item.text ? "\n" + item.text : "") + (fate ? "\n" + fate : "");
  Object.assign(button.style, { left: r.x + "px", top: r.y + "px", width: Math.max(1, r.w) + "px", height: Math.max(1, r.h) + "px" });
  if (downloaded) button.classList.add("missing");
  if (r.w > 36 && r.h > head) button.append(make("b", (downloaded ? "↓ " : "") + (item.label || item.name) + " · " + size(item.sum.bytes)));
  const nested = item.parts && item.parts.length > 1 && r.h > 3 * head && r.w > 60;
  if (nested) nest(button, item, r);
  else if (item.text && r.h > 4 * head && r.w > 90) button.append(make("span", item.text));
  const c = { button, item, rect: r, i };
  button.addEventListener("click", () => { choose(c, true); if (item.goes) go(item.goes, true); });
  button.addEventListener("focus", () => choose(c, false));
  button.addEventListener("pointerenter", () => { if (!map.contains(document.activeElement)) choose(c, false); });
  return c;
}

// nest draws the components of a layer, or the contents of a directory, into its cell, if they are
// large enough to see.
function nest(button, item, r) {
  const border = 1, w = r.w - 2 * border, h = r.h - 2 * border - head;
  const total = item.parts.reduce((sum, p) => sum + Math.max(1, p.bytes), 0);
  const seen = item.parts.filter(p => Math.max(1, p.bytes) / total * w * h >= leastArea);
  const values = seen.map(p => Math.max(1, p.bytes));
  const rest = total - values.reduce((a, b) => a + b, 0);
  if (rest > 0) values.push(rest);
  squarify(values, 0, head, w, h).forEach((q, i) => {
    const part = make("i", seen[i] && q.w > 40 && q.h > 13 ? seen[i].label || shortName(seen[i].component) : "");
    if (seen[i]) paint(part, seen[i]);
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

// go shows another place. For a layer with one component, it shows the component.
function go(to, focus) {
  if (to.layer !== null && to.component === null && partsOf(to.layer).length === 1) to = { ...to, component: partsOf(to.layer)[0].component, dir: "/" };
  place = { ...to };
  document.getElementById("by").value = place.by;
  draw(focus);
}

// above returns the place that contains a place, or null.
function above(at) {
  if (at.dir !== null) {
    for (let dir = at.dir; dir !== "/";) {
      dir = dir.slice(0, dir.lastIndexOf("/", dir.length - 2) + 1);
      if (hasChoice({ ...at, dir })) return { ...at, dir };
    }
    if (at.by === "files") return null;
    if (partsOf(at.layer).length > 1) return { ...at, component: null, dir: null };
  }
  return at.layer === null ? null : top_("layers");
}

// up goes to the place above, and selects the cell of the place that it left.
function up() {
  const from = place, to = above(from);
  if (!to) return;
  place = to;
  draw(false);
  const key = to.layer === null ? "" + from.layer : from.layer + "/" + from.component;
  choose(cells.find(c => c.item.dir ? from.dir.startsWith(c.item.dir) : c.item.key === key) || cells[cells.length - 1], true);
}

function drawTrail() {
  const steps = [["the image", top_(place.by)]];
  if (place.layer !== null) steps.push(["layer " + place.layer, { by: place.by, layer: place.layer, component: null, dir: null }]);
  if (place.component !== null) steps.push([componentName(place.component), { ...place, dir: "/" }]);
  if (place.dir !== null) {
    for (let at = 1, end; (end = place.dir.indexOf("/", at)) > 0; at = end + 1) steps.push([place.dir.slice(at, end), { ...place, dir: place.dir.slice(0, end + 1) }]);
  }
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
  const dirs = new Set(); // with matches
  if (matches !== null && place.dir !== null) {
    eachFile(place, (pos, i, path) => {
      const slash = path.indexOf("/", place.dir.length);
      if (slash >= 0 && fitsPath(path)) dirs.add(path.slice(0, slash + 1));
      return false;
    });
  }
  for (const c of cells) {
    const fits = x => x.file ? fitsPath(x.name) : x.dir ? dirs.has(x.dir) : matches.has(x.key);
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

document.getElementById("by").addEventListener("change", event => go(top_(event.target.value), false));
