// A fault of this page is told on the page.
window.addEventListener("error", event => {
  const fault = document.getElementById("fault");
  fault.textContent = "This page does not work here: " + event.message;
  fault.hidden = false;
});

// What the page is about. Names of an image are text everywhere: nothing here is
// ever read as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const nobody = "(one of several)"; // files that belong to one of several components

function size(n) {
  if (n === null || n === undefined) return "not known";
  if (n < 1000) return n === 1 ? "1 byte" : n + " bytes";
  let unit = 0;
  while (n >= 1000 && unit < 4) { n /= 1000; unit++; }
  return n.toFixed(1) + " " + ["", "kB", "MB", "GB", "TB"][unit];
}

function count(n, what) { return n === 1 ? "1 " + what : n.toLocaleString("en") + " " + what + "s"; }

// percent writes parts per million.
function percent(ppm) { return ppm === null ? "unknown" : (ppm / 10000).toFixed(2) + " %"; }

// classes of stability, the most stable first: the least parts per million, and how
// the legend calls it.
const classes = [[999000, "99.9 % and more"], [990000, "99 to 99.9 %"], [950000, "95 to 99 %"], [800000, "80 to 95 %"], [500000, "50 to 80 %"], [0, "less than 50 %"]];
function colour(ppm) { return ppm === null ? "cu" : "c" + classes.findIndex(c => ppm >= c[0]); }

// A layer has its files in columns: common, the bytes that a path shares with the one
// before it; rest, what follows; sizes; and components, one number where all have the
// same one, of which -1 is none.
function componentOf(layer, at) { return typeof layer.components === "number" ? layer.components : layer.components[at]; }
function componentName(c) { return c < 0 ? nobody : data.components[c]; }

// sums of each layer's components, the largest first.
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

// pathsOf spells out the paths of a layer, once somebody asks.
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

// make makes an element with text in it.
function make(tag, text, name) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (name) e.className = name;
  return e;
}
