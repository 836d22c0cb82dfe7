// A place in the map. By layers, it shows all layers, the components of one layer, or the
// directories and files of one component. By files, it shows the directories and files of all layers.
const top_ = by => ({ by, layer: null, component: null, dir: by === "files" ? "/" : null });
let place = top_("layers");

// itemsAt returns the items at a place, the largest first.
function itemsAt(at) {
  if (at.dir !== null) return filesAt(at);
  return (at.layer === null ? view.layers.map((l, pos) => layerItem(pos)) : partsOf(at.layer).map(p => componentItem(at.layer, p)))
    .sort((a, b) => b.sum.bytes - a.sum.bytes);
}

function layerItem(pos) {
  const l = view.layers[pos], layer = layerAt(pos), sum = newSum(), parts = partsOf(pos);
  for (const p of parts) {
    sum.files += p.files;
    p.mix.forEach((n, fate) => sum.mix[fate] += n);
  }
  if (parts.length === 0) sum.mix[l.missing ? same : kept] = 1;
  sum.bytes = isReuse ? layer.blob : layer.bytes;
  if (l.stability !== null) { sum.stable = l.stability; sum.known = 1; }
  sum.layers.set(pos, 1);
  const sole = layer.names.length === 1;
  return {
    name: sole ? componentName(layer.names[0]) : layer.by || layerText(layer), label: sole ? shortName(layer.names[0]) : layer.by || labelText(layer),
    text: "layer " + pos, sum, parts, missing: l.missing, key: "" + pos, goes: { by: "layers", layer: pos, component: null, dir: null },
    detail: () => layerDetail(pos),
  };
}

function componentItem(pos, p) {
  return {
    name: componentName(p.component), label: shortName(p.component), text: count(p.files, "file"), sum: p, missing: view.layers[pos].missing,
    key: pos + "/" + p.component, goes: { by: "layers", layer: pos, component: p.component, dir: "/" },
    detail: () => ({ title: componentName(p.component), rows: [["size", size(p.bytes)], ["files", p.files.toLocaleString("en")],
      ["layer", "" + pos], ["stability", stabilityText(view.layers[pos].stability)], ...fateRows(p), ...partRows(pos, p.component)] }),
  };
}

// eachFile visits the files of a place whose paths begin with its directory, until visit returns
// true.
function eachFile(at, visit) {
  for (let pos = 0; pos < view.layers.length; pos++) {
    if (at.layer !== null && at.layer !== pos) continue;
    const layer = layerAt(pos), paths = pathsOf(layer);
    for (let i = 0; i < paths.length; i++) {
      if (at.component !== null && componentOf(layer, i) !== at.component) continue;
      if (paths[i].startsWith(at.dir) && visit(pos, i, paths[i])) return;
    }
  }
}

// filesAt returns the directories and files in a directory. It skips directories that contain
// nothing but one directory.
function filesAt(at) {
  for (;;) {
    const dirs = new Map(), items = [], base = at.dir.length;
    eachFile(at, (pos, i, path) => {
      const slash = path.indexOf("/", base);
      if (slash < 0) { items.push(fileItem(at, pos, i, path)); return false; }
      const next = path.indexOf("/", slash + 1), sum = sumOf(dirs, path.slice(base, slash));
      addFile(sum, pos, i);
      addFile(sumOf(sum.inner ||= new Map(), path.slice(slash + 1, next < 0 ? undefined : next + 1)), pos, i);
      return false;
    });
    if (items.length === 0 && dirs.size === 1) { at.dir += dirs.keys().next().value + "/"; continue; }
    for (const [name, sum] of dirs) items.push(dirItem(at, name, sum));
    return items.sort((a, b) => b.sum.bytes - a.sum.bytes || (a.name < b.name ? -1 : 1));
  }
}

// sumOf returns the sum for a name, and creates it if it does not exist.
function sumOf(sums, name) {
  let sum = sums.get(name);
  if (!sum) { sum = newSum(); sum.label = name; sums.set(name, sum); }
  return sum;
}

// hasChoice reports whether a directory has more than one directory.
function hasChoice(at) {
  let first = null, several = false;
  eachFile(at, (pos, i, path) => {
    const slash = path.indexOf("/", at.dir.length), name = slash < 0 ? null : path.slice(at.dir.length, slash);
    several = name === null || first !== null && name !== first;
    first = name;
    return several;
  });
  return several;
}

function dirItem(at, name, sum) {
  const dir = at.dir + name + "/", parts = [...sum.inner.values()].sort((a, b) => b.bytes - a.bytes);
  return {
    name: dir, label: name + "/", text: count(sum.files, "file"), sum, parts, missing: sum.mix[same] + sum.mix[changed] > 0 && isReuse, key: null,
    goes: { by: at.by, layer: at.layer, component: at.component, dir }, dir,
    detail: () => ({ title: dir, rows: [["size", size(sum.bytes)], ["files", sum.files.toLocaleString("en")], ["layers", layersText(sum)], ...fateRows(sum)] }),
  };
}

function layersText(sum) {
  const list = [...sum.layers.keys()].sort((a, b) => a - b);
  return list.length > 12 ? list.length + " layers" : list.join(", ");
}

function fileItem(at, pos, i, path) {
  const sum = newSum(), layer = layerAt(pos);
  addFile(sum, pos, i);
  return {
    name: path, label: path.slice(at.dir.length), text: "", sum, missing: view.layers[pos].missing, key: null, goes: null, file: true,
    detail: () => ({ title: path, rows: [["size", size(layer.sizes[i])], ...(isReuse ? [["in the blob", size(sum.bytes)]] : []), ["layer", "" + pos],
      ["component", componentName(componentOf(layer, i))], ...fileRows(pos, i)] }),
  };
}

function fileRows(pos, i) {
  const fate = fateOf(view.layers[pos], i);
  if (isReuse) return [["update", fateNames[fate]]];
  return fate === same ? [["hidden", "a higher layer replaces or deletes it"]] : [];
}

function fateRows(sum) {
  const text = fateText(sum);
  return text ? [[isReuse ? "update" : "waste", text]] : [];
}

function layerText(layer) {
  if (layer.names.length === 0) return "unknown contents";
  return componentName(layer.names[0]) + (layer.names.length > 1 ? " and " + (layer.names.length - 1) + " more" : "");
}
function labelText(layer) {
  if (layer.names.length === 0) return layerText(layer);
  return shortName(layer.names[0]) + (layer.names.length > 1 ? " and " + (layer.names.length - 1) + " more" : "");
}

function stabilityText(ppm) { return ppm === null ? "unknown" : percent(ppm) + " to stay unchanged for a week"; }

// reasonCounts counts the reasons why layers were rewritten.
function reasonCounts(reasons) {
  const counts = new Map();
  for (const why of reasons) counts.set(why, (counts.get(why) || 0) + 1);
  return [...counts].map(([why, n]) => count(n, "layer") + " because " + why).join(", ");
}

function layerDetail(pos) {
  const l = view.layers[pos], layer = layerAt(pos), item = layerItem(pos);
  const rows = [["size", size(layer.bytes)], ["compressed", layer.plain ? "plain" : size(layer.blob)], ["stability", stabilityText(l.stability)],
    ["chain", stabilityText(l.chain) + (l.chain === null ? "" : ", with all layers below it")], ["files", layer.sizes.length.toLocaleString("en")], ["digest", layer.digest]];
  if (layer.by) rows.push(["made by", layer.by]);
  if (l.stale) rows.push(["stale", size(l.stale) + ", hidden by " + (l.hiddenBy.length === 1 ? "layer " : "layers ") + l.hiddenBy.join(", ")]);
  if (l.rewritten) rows.push(["its build rewrote", reasonCounts(l.rewritten)]);
  if (isReuse) rows.push(["client", l.missing ? "downloads it" : "has it already"]);
  if (l.missing || !isReuse) rows.push(...fateRows(item.sum));
  return { title: "layer " + pos, rows, list: item.parts.slice(0, 100).map(p => componentName(p.component) + ", " + size(p.bytes)), of: item.parts.length };
}

// partRows say why a component is downloaded.
function partRows(pos, component) {
  const part = (view.parts || []).find(p => p.layer === pos && p.component === component);
  if (!part) return [];
  return [["state", part.state], ...(part.why ? [["why", part.why]] : [])];
}
