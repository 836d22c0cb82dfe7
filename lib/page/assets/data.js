// Errors of this script are shown on the page.
window.addEventListener("error", event => {
  const fault = document.getElementById("fault");
  fault.textContent = "This page does not work here: " + event.message;
  fault.hidden = false;
});

// The data of the page. Names from the image are always inserted as text, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const oneOfSeveral = "(one of several)"; // files that belong to one of several components

function size(n) {
  if (n === null || n === undefined) return "not known";
  if (n < 1000) return n === 1 ? "1 byte" : n + " bytes";
  let unit = 0;
  while (n >= 1000 && unit < 4) { n /= 1000; unit++; }
  return n.toFixed(1) + " " + ["", "kB", "MB", "GB", "TB"][unit];
}

function count(n, what) { return n === 1 ? "1 " + what : n.toLocaleString("en") + " " + what + "s"; }

// percent formats parts per million.
function percent(ppm) { return ppm === null ? "unknown" : (ppm / 10000).toFixed(2) + " %"; }

// classes of stability, the most stable first: the lower limit in parts per million, and the label.
const classes = [[999000, "99.9 % and more"], [990000, "99 to 99.9 %"], [950000, "95 to 99 %"], [800000, "80 to 95 %"], [500000, "50 to 80 %"], [0, "less than 50 %"]];
function colour(ppm) { return ppm === null ? "cu" : "c" + classes.findIndex(c => ppm >= c[0]); }

// A layer has its files in columns: common, the number of bytes that a path shares with the
// previous one; rest, the remainder of the path; sizes; and components, a single number if all
// files have the same one. -1 means unknown.
function componentOf(layer, at) { return typeof layer.components === "number" ? layer.components : layer.components[at]; }
function componentName(c) { return c < 0 ? oneOfSeveral : data.components[c]; }

// The sizes of each layer's components, the largest first.
for (const layer of data.layers) {
  const sums = new Map();
  for (let at = 0; at < layer.sizes.length; at++) {
    const c = componentOf(layer, at);
    let sum = sums.get(c);
    if (!sum) sums.set(c, sum = { component: c, bytes: 0, files: 0 });
    sum.bytes += layer.sizes[at];
    sum.files++;
  }
  layer.parts = [...sums.values()].sort((a, b) => b.bytes - a.bytes || b.files - a.files || a.component - b.component);
}

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

// make creates an element with text.
function make(tag, text, name) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (name) e.className = name;
  return e;
}
