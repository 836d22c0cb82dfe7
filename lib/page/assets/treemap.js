// squarify divides a rectangle among values, the largest first. Areas are proportional and as
// square as possible (Bruls, Huizing, van Wijk: Squarified Treemaps).
function squarify(values, x, y, w, h) {
  const rects = new Array(values.length);
  let left = values.reduce((a, b) => a + b, 0);
  let at = 0;
  while (at < values.length) {
    const scale = left > 0 ? w * h / left : 0;
    const side = Math.min(w, h);
    let end = at, sum = 0, worst = Infinity;
    while (end < values.length) {
      const more = sum + values[end] * scale;
      const thick = side > 0 ? more / side : 0;
      const ratio = area => thick > 0 && area > 0 ? Math.max(area / (thick * thick), thick * thick / area) : Infinity;
      const next = Math.max(ratio(values[at] * scale), ratio(values[end] * scale));
      if (end > at && next > worst) break;
      sum = more;
      worst = next;
      end++;
    }
    const thick = side > 0 ? sum / side : 0;
    let along = 0;
    for (let i = at; i < end; i++) {
      const length = thick > 0 ? values[i] * scale / thick : 0;
      rects[i] = w >= h ? { x, y: y + along, w: thick, h: length } : { x: x + along, y, w: length, h: thick };
      along += length;
      left -= values[i];
    }
    if (w >= h) { x += thick; w = Math.max(0, w - thick); } else { y += thick; h = Math.max(0, h - thick); }
    at = end;
  }
  return rects;
}
