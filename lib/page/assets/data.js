// Errors of this script are shown on the page.
window.addEventListener("error", event => {
  const fault = document.getElementById("fault");
  fault.textContent = "This page does not work in this browser: " + event.message;
  fault.hidden = false;
});

// The data of the page. Names from the image are always inserted as text, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const isReuse = data.kind === "reuse";
const oneOfSeveral = "(one of several)"; // files that belong to one of several components

function size(n) {
  if (n === null || n === undefined) return "not known";
  n = Math.round(n);
  if (n < 1000) return n === 1 ? "1 byte" : n + " bytes";
  let unit = 0;
  while (n >= 1000 && unit < 4) { n /= 1000; unit++; }
  return n.toFixed(1) + " " + ["", "kB", "MB", "GB", "TB"][unit];
}

function count(n, what) { return n === 1 ? "1 " + what : n.toLocaleString("en") + " " + what + "s"; }

// percent formats parts per million. Like the command, it rounds down.
function percent(ppm) { return ppm === null ? "unknown" : (Math.floor(ppm / 100) / 100).toFixed(2) + "%"; }

// A layer stores its files in columns: common, the number of bytes that a path shares with the
// previous path; rest, the remainder of the path; sizes; and components, which is a single number
// if all files have the same component. -1 means unknown. Several images can share a layer.
function componentOf(layer, at) { return typeof layer.components === "number" ? layer.components : layer.components[at]; }
function componentName(c) { return c < 0 ? oneOfSeveral : data.components[c]; }

// commonPrefix is the beginning, up to a slash, that most component names share, for example "rpm/".
// Small cells do not show it.
const commonPrefix = (() => {
  const counts = new Map();
  for (const name of data.components) {
    const prefix = name.slice(0, name.indexOf("/") + 1);
    counts.set(prefix, (counts.get(prefix) || 0) + 1);
  }
  for (const [prefix, n] of counts) if (n > 1 && n * 2 > data.components.length) return prefix;
  return "";
})();
function shortName(c) { const name = componentName(c); return name.startsWith(commonPrefix) ? name.slice(commonPrefix.length) : name; }

// pathsOf builds the paths of a layer on first use.
function pathsOf(layer) {
  if (layer.paths) return layer.paths;
  const paths = new Array(layer.rest.length);
  let last = "";
  for (let at = 0; at < paths.length; at++) {
    last = last.slice(0, layer.common[at]) + layer.rest[at];
    paths[at] = last;
  }
  return layer.paths = paths;
}

// The view is the image on the screen. In a series, it is the new image of the chosen step. Each of
// its layers refers to an element of data.layers, and adds the values that differ between images.
let view = data.views[data.views.length - 1];
function layerAt(pos) { return data.layers[view.layers[pos].at]; }

// Fates of a file. In a page about one image, a file is seen or hidden.
const kept = 0, same = 1, changed = 2;

// flagsOf decodes which files changed or are hidden. The runs are lengths, and the first run counts
// files that did not change or are not hidden.
function flagsOf(l) {
  if (l.decoded) return l.decoded;
  const flags = new Uint8Array(data.layers[l.at].sizes.length);
  let at = 0, on = false;
  for (const n of l.runs || []) { if (on) flags.fill(1, at, at + n); at += n; on = !on; }
  return l.decoded = flags;
}

// fateOf is the fate of a file in a layer of the view.
function fateOf(l, at) {
  if (!isReuse) return flagsOf(l)[at] ? same : kept;
  return !l.missing ? kept : flagsOf(l)[at] ? changed : same;
}

// A page about downloads shows sizes of blobs: a blob is divided among its files in proportion to
// their space in the tar, as in the command. Other pages show the sizes of files.
function bytesOf(layer, at) {
  if (!isReuse) return layer.sizes[at];
  if (layer.ratio === undefined) layer.ratio = layer.sizes.length === 0 ? 0 : layer.blob / layer.sizes.reduce((sum, s) => sum + space(s), 0);
  return space(layer.sizes[at]) * layer.ratio;
}
function space(bytes) { return 512 + Math.ceil(bytes / 512) * 512; }

// newSum starts a sum of files: their bytes by fate, their stability, and their bytes per layer.
function newSum() { return { bytes: 0, files: 0, mix: [0, 0, 0], stable: 0, known: 0, layers: new Map() }; }

function addFile(sum, pos, at) {
  const l = view.layers[pos], bytes = bytesOf(data.layers[l.at], at);
  sum.bytes += bytes;
  sum.files++;
  sum.mix[fateOf(l, at)] += bytes;
  if (l.stability !== null) { sum.stable += l.stability * Math.max(1, bytes); sum.known += Math.max(1, bytes); }
  sum.layers.set(pos, (sum.layers.get(pos) || 0) + Math.max(1, bytes));
}

function stabilityOf(sum) { return sum.known === 0 ? null : sum.stable / sum.known; }
function layerOf(sum) { let best = 0, most = -1; for (const [pos, n] of sum.layers) if (n > most) { best = pos; most = n; } return best; }

// partsOf are the components of a layer, the largest first.
function partsOf(pos) {
  const l = view.layers[pos];
  if (l.parts) return l.parts;
  const layer = data.layers[l.at], sums = new Map();
  for (let at = 0; at < layer.sizes.length; at++) {
    const c = componentOf(layer, at);
    let sum = sums.get(c);
    if (!sum) { sum = newSum(); sum.component = c; sums.set(c, sum); }
    addFile(sum, pos, at);
  }
  return l.parts = [...sums.values()].sort((a, b) => b.bytes - a.bytes || b.files - a.files || a.component - b.component);
}

// make creates an element with text.
function make(tag, text, name) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (name) e.className = name;
  return e;
}
