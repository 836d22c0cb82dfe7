// classes of stability, most stable first: the lower limit in parts per million, and the label.
const classes = [[999000, "99.9% and more"], [990000, "99 to 99.9%"], [950000, "95 to 99%"], [800000, "80 to 95%"], [500000, "50 to 80%"], [0, "less than 50%"]];
function stabilityClass(ppm) { return ppm === null ? "cu" : "c" + classes.findIndex(c => ppm >= c[0]); }

// Ways to colour the map, each with the title of its legend.
const fateNames = ["unchanged, not downloaded", "downloaded although unchanged", "downloaded because it changed"];
const fateKinds = ["kept", "same", "changed"];
const ways = {
  fate: { name: "download", title: "What a client of the previous image downloads", needs: () => isReuse },
  stability: { name: "stability", title: "Chance to stay unchanged for a week", needs: () => view.layers.some(l => l.stability !== null) },
  layer: { name: "layer", title: "Layers, from the bottom up", needs: () => true },
  waste: { name: "waste", title: "Files in higher layers hide files in lower ones", needs: () => !isReuse },
};
let way = Object.keys(ways).find(k => ways[k].needs());

// hue gives neighbouring layers different colours.
function hue(pos) { return pos * 137.508 % 360; }

// paint colours an element by a sum of files.
function paint(e, sum) {
  if (way === "stability") { e.classList.add(stabilityClass(stabilityOf(sum))); return; }
  if (way === "layer") { e.classList.add("hue"); e.style.setProperty("--hue", hue(layerOf(sum))); return; }
  const kinds = way === "waste" ? ["seen", "hidden", "hidden"] : fateKinds;
  const total = sum.mix[0] + sum.mix[1] + sum.mix[2], most = sum.mix.indexOf(Math.max(...sum.mix));
  e.classList.add(kinds[most]);
  const stops = [];
  let from = 0;
  for (const fate of [changed, same, kept]) {
    if (sum.mix[fate] === 0) continue;
    const to = from + sum.mix[fate] / total * 100;
    stops.push(`var(--${kinds[fate]}) ${from}% ${to}%`);
    from = to;
  }
  if (stops.length > 1) e.style.backgroundImage = `linear-gradient(90deg, ${stops.join(", ")})`;
}

// fateText describes how much of some files is downloaded or wasted.
function fateText(sum) {
  if (!isReuse) return sum.mix[same] > 0 ? size(sum.mix[same]) + " hidden" : "";
  if (sum.mix[same] + sum.mix[changed] === 0) return fateNames[kept];
  const parts = [];
  if (sum.mix[changed] > 0) parts.push(size(sum.mix[changed]) + " downloaded because changed");
  if (sum.mix[same] > 0) parts.push(size(sum.mix[same]) + " downloaded although unchanged");
  if (sum.mix[kept] > 0) parts.push(size(sum.mix[kept]) + " not downloaded");
  return parts.join(", ");
}

function key(kind, name, fill) {
  const k = make("span", undefined, "key"), i = make("i", undefined, kind);
  if (fill) fill(i);
  k.append(i, name);
  return k;
}

const mostKeys = 12; // largest number of layers in a legend

function drawLegend() {
  const legend = document.getElementById("legend"), title = make("strong", ways[way].title + ":");
  title.id = "legend-title";
  legend.className = "keys";
  legend.replaceChildren(title);
  if (way === "stability") {
    classes.forEach((c, i) => legend.append(key("c" + i, c[1])));
    if (view.layers.some(l => l.stability === null)) legend.append(key("cu", "unknown"));
  } else if (way === "fate") {
    for (const fate of [changed, same, kept]) legend.append(key(fateKinds[fate], fateNames[fate]));
  } else if (way === "waste") {
    legend.append(key("hidden", "hidden: replaced or deleted by a higher layer"), key("seen", "in the file system of a container"));
  } else {
    view.layers.slice(0, mostKeys).forEach((l, pos) => legend.append(key("hue", "" + pos, i => i.style.setProperty("--hue", hue(pos)))));
    if (view.layers.length > mostKeys) legend.append(make("span", "and " + (view.layers.length - mostKeys) + " more"));
  }
  if (commonPrefix) legend.append(make("span", "Names are shown without the prefix " + commonPrefix));
}

const colourChoice = document.getElementById("colour");

function drawColours() {
  colourChoice.replaceChildren(...Object.keys(ways).filter(k => ways[k].needs()).map(k => {
    const o = make("option", ways[k].name);
    o.value = k;
    return o;
  }));
  if (!ways[way].needs()) way = Object.keys(ways).find(k => ways[k].needs());
  colourChoice.value = way;
}

colourChoice.addEventListener("change", () => { way = colourChoice.value; drawLegend(); draw(false); });
