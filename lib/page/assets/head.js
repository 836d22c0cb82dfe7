// The head of the page shows the answer, the steps of a series, bars and clients.
const clientNames = { docker: "docker (overlay2)" };

function drawHead() {
  const answer = document.getElementById("answer"), question = document.getElementById("question");
  answer.replaceChildren(make("strong", view.answer), " " + view.of);
  question.textContent = view.question;
  document.getElementById("about").textContent = view.about;
  drawBars();
  drawClients();
  drawNotes();
}

// drawBars compares the image before and after: the update, or the compression.
function drawBars() {
  const box = document.getElementById("bars"), most = Math.max(1, ...view.bars.map(b => b.total));
  box.replaceChildren(...view.bars.map(b => {
    const row = make("div", undefined, "bar"), track = make("div", undefined, "track"), name = make("span", b.name, "name");
    name.title = b.name;
    for (const s of b.segments) {
      if (s.bytes === 0) continue;
      const part = make("i", undefined, s.kind);
      part.style.width = s.bytes / most * 100 + "%";
      part.title = s.name + ": " + size(s.bytes);
      track.append(part);
    }
    track.setAttribute("role", "img");
    track.setAttribute("aria-label", b.segments.map(s => s.name + ": " + size(s.bytes)).join(", "));
    row.append(name, track, make("span", size(b.total), "sum"));
    return row;
  }));
}

// drawClients lists what each client downloads and unpacks.
function drawClients() {
  const list = document.getElementById("clients");
  list.replaceChildren(...(view.clients || []).map(c => {
    const unpacks = c.unpack_bytes === undefined ? "" : size(c.unpack_bytes) + " in ";
    return make("li", (clientNames[c.client] || c.client) + " downloads " + size(c.download_bytes) + " in " + count(c.download_layers, "layer") +
      " and unpacks " + unpacks + count(c.unpack_layers, "layer") + ".");
  }));
  list.hidden = list.children.length === 0;
}

// drawNotes says how many bytes are stale, and which layers of the old image were not kept.
function drawNotes() {
  const list = document.getElementById("notes"), stale = view.layers.filter(l => l.stale && isReuse), notes = []; // the head of an image's own page counts waste
  if (stale.length > 0) {
    notes.push(size(stale.reduce((sum, l) => sum + l.stale, 0)) + " of files in " + count(stale.length, "layer") + " are stale: upper layers hide them.");
  }
  for (const r of view.rewritten || []) notes.push("Layer " + r.layer + " of the old image (" + size(r.bytes) + ") was rewritten because " + r.why + ".");
  list.replaceChildren(...notes.map(text => make("li", text)));
  list.hidden = notes.length === 0;
}

// drawSteps draws a column per step of a series. It shows the download, above the name of the image.
// A click chooses a step.
function drawSteps() {
  const box = document.getElementById("steps");
  box.hidden = data.views.length < 2;
  if (box.hidden) return;
  const most = Math.max(1, ...data.views.map(v => v.download));
  box.replaceChildren(make("p", "Downloads of " + data.chosen + ": " + size(data.mean) + " on average in " + count(data.views.length, "step") + ". Choose a step:"));
  const chart = make("div", undefined, "chart");
  data.views.forEach((v, i) => {
    const b = make("button"), column = make("span", undefined, "column");
    for (const [kind, bytes] of [["changed", v.download - v.unchanged], ["same", v.unchanged]]) {
      const part = make("i", undefined, kind);
      part.style.height = bytes / most * 100 + "%";
      column.append(part);
    }
    b.type = "button";
    b.append(make("small", size(v.download)), column, make("span", v.label, "label"));
    b.title = v.question;
    b.setAttribute("aria-label", "step " + (i + 1) + ": " + v.label + ", " + size(v.download));
    b.setAttribute("aria-pressed", v === view);
    b.tabIndex = v === view ? 0 : -1;
    b.addEventListener("click", () => chooseStep(i, true));
    chart.append(b);
  });
  chart.addEventListener("keydown", event => {
    const at = data.views.indexOf(view), to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: data.views.length - 1 }[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (data.views[to]) chooseStep(to, true);
  });
  box.append(chart);
}

// chooseStep shows another step of the series.
function chooseStep(i, focus) {
  view = data.views[i];
  place = top_(place.by);
  drawSteps();
  drawHead();
  drawColours();
  drawLegend();
  drawTables();
  draw(false);
  if (query.value) search(query.value.trim());
  if (focus) document.querySelector("#steps [aria-pressed=true]")?.focus();
}
