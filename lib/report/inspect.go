package report

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"chunkah/format"
	"chunkah/lib/console"
	"chunkah/lib/inspect"
	"chunkah/lib/patch"
	"chunkah/lib/quote"
)

// The limits for the contents of a table: the number of layers listed for a component, and the
// length of a list of names or of a command. Within these limits, a row fits on one line of a wide
// terminal.
const (
	shownLayers = 3
	shownRunes  = 80
)

// oneOfSeveral is shown as the component of files with several possible components.
const oneOfSeveral = "(one of several)"

// Layers prints a line for each layer, from the bottom up.
func Layers(p *Printer, s *inspect.Summary) {
	created := ""
	if s.Created != nil {
		created = ", created " + s.Created.UTC().Format(time.RFC3339)
	}
	p.Linef("%s", quote.Name(s.Image))
	p.Linef("%s, %s%s", s.Digest, quote.Name(s.Platform), created)
	p.Linef("")
	t := p.table()
	t.row("layer", "size", "compressed", "stability", "chain", "files", "  contents")
	for _, l := range s.Layers {
		t.row(l.Index, sizeText(l.Bytes), compressedText(l), stabilityText(l.Stability), stabilityText(l.ChainStability), count(l.Files), "  "+contentsText(l))
	}
	t.row("total", sizeText(s.Bytes), console.Bytes(s.Compressed), "", "", "", "  in "+console.Plural(len(s.Layers), "layer")+chunkedText(s.Layers))
	t.end()
	staleLines(p, s)
	rewrittenLines(p, s)
}

// rewrittenLines prints why layers of previous images were not kept, if there are such layers.
func rewrittenLines(p *Printer, s *inspect.Summary) {
	first := true
	for _, l := range s.Layers {
		if len(l.Rewritten) == 0 {
			continue
		}
		if first {
			p.Linef("")
			first = false
		}
		counts := map[string]int{}
		for _, r := range l.Rewritten {
			counts[r.Reason.Text()]++
		}
		var why []string
		for _, text := range slices.Sorted(maps.Keys(counts)) {
			why = append(why, fmt.Sprintf("%s because %s", console.Plural(counts[text], "layer"), quote.Name(text)))
		}
		p.Linef("layer %d was made by a build that rewrote %s", l.Index, strings.Join(why, ", "))
	}
}

// staleLines lists the layers that contain files hidden by upper layers, if there are any.
func staleLines(p *Printer, s *inspect.Summary) {
	if s.Stale == 0 {
		return
	}
	p.Linef("")
	var layers []patch.StaleLayer
	for _, l := range s.Layers {
		if l.Stale > 0 {
			layers = append(layers, patch.StaleLayer{Layer: l.Index, Stale: l.Stale, HiddenBy: l.HiddenBy})
		}
	}
	for _, line := range StaleLines(layers, "") {
		p.Linef("%s", line)
	}
}

// StaleLines returns lines that report how many bytes of an image are hidden by upper layers, and
// in which layers. The text in whose follows "lower layers"; it is empty if there is only one
// image.
func StaleLines(layers []patch.StaleLayer, whose string) (lines []string) {
	sum := int64(0)
	for _, l := range layers {
		sum += l.Stale
		lines = append(lines, fmt.Sprintf("layer %d: %s, hidden by %s", l.Layer, console.Bytes(l.Stale), layersText(slices.Sorted(maps.Keys(l.HiddenBy)))))
	}
	if sum > 0 {
		lines = slices.Insert(lines, 0, fmt.Sprintf("%s of files in lower layers %sare stale: upper layers hide them", console.Bytes(sum), whose))
	}
	return lines
}

// chunkedText reports how many layers are zstd:chunked. It returns "" if there are none.
func chunkedText(layers []inspect.LayerSummary) string {
	n := 0
	for _, l := range layers {
		if l.Chunked {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case len(layers):
		return ", zstd:chunked"
	}
	return fmt.Sprintf(", %d zstd:chunked", n)
}

// compressedText formats the size of a compressed blob. It returns "" if the blob is the tar
// itself.
func compressedText(l inspect.LayerSummary) string {
	if l.Digest == l.DiffID {
		return "plain"
	}
	return console.Bytes(l.Compressed)
}

// sizeText formats a size that can be unknown.
func sizeText(n *int64) string {
	if n == nil {
		return "-"
	}
	return console.Bytes(*n)
}

func count(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

// stabilityText formats the chance that a layer stays unchanged for a week.
func stabilityText(ppm *int64) string {
	if ppm == nil {
		return "unknown"
	}
	return console.Percent(*ppm)
}

// contentsText describes a layer by its components or by the build step that made it.
func contentsText(l inspect.LayerSummary) string {
	names := l.Components
	if len(names) == 0 {
		return shorten(l.CreatedBy)
	}
	shown := shorten(names[0])
	n := 1
	for ; n < len(names); n++ {
		longer := shown + ", " + shorten(names[n])
		if utf8.RuneCountInString(longer) > shownRunes {
			break
		}
		shown = longer
	}
	if n < len(names) {
		shown += fmt.Sprintf(" and %d more", len(names)-n)
	}
	return shown
}

// shorten shortens a build step to one line.
func shorten(s string) string {
	if len(s) > shownRunes*utf8.UTFMax*2 {
		s = s[:shownRunes*utf8.UTFMax*2] // more characters never fit on a line
	}
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > shownRunes {
		s = string(runes[:shownRunes-1]) + "…"
	}
	return quote.Name(s)
}

// Components prints a line for each component.
func Components(p *Printer, s *inspect.Summary) {
	t := p.table()
	t.row("size", "files", "layer", "stability", "  component")
	for _, c := range s.Components {
		name := quote.Name(c.Name)
		if c.Name == "" {
			name = oneOfSeveral
		}
		t.row(console.Bytes(c.Bytes), c.Files, layerNumbers(c.Layers), stabilityText(c.Stability), "  "+name)
	}
	t.end()
}

// layersText names the first few layers.
func layersText(list []int) string {
	switch n := len(list); {
	case n > shownLayers:
		return layerNumbers(list)
	case n > 1:
		return "layers " + layerNumbers(list)
	}
	return "layer " + layerNumbers(list)
}

// layerNumbers lists the first few layers.
func layerNumbers(list []int) string {
	if len(list) > shownLayers {
		return console.Plural(len(list), "layer")
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
}

// fileLine is an entry of a layer in JSON.
type fileLine struct {
	Path      string `json:"path"`
	PathRaw   []byte `json:"path_raw,omitempty"`
	Type      string `json:"type"`
	Mode      string `json:"mode"` // octal
	UID       uint32 `json:"uid"`
	GID       uint32 `json:"gid"`
	Size      int64  `json:"size"`
	MTime     int64  `json:"mtime"`
	Target    string `json:"target,omitempty"`
	TargetRaw []byte `json:"target_raw,omitempty"`
	Component string `json:"component,omitempty"`
}

// Files prints the entries of a layer in their order.
func Files(p *Printer, in *inspect.Image, l *inspect.Layer, asJSON bool) {
	for i := range l.Entries {
		e := &l.Entries[i]
		if !asJSON {
			target := ""
			if e.Link != "" {
				target = " -> " + quote.Name(e.Link)
			}
			p.Linef("%-8s %04o %5d:%-5d %12d %s %s%s", e.Type(), e.Mode, e.UID, e.GID, e.Size,
				time.Unix(e.MTime, 0).UTC().Format(time.RFC3339), quote.Name(e.Path), target)
			continue
		}
		line := fileLine{Type: e.Type(), Mode: fmt.Sprintf("%04o", e.Mode), UID: e.UID, GID: e.GID, Size: e.Size, MTime: e.MTime}
		line.Path, line.PathRaw = format.TextRaw(e.Path)
		line.Target, line.TargetRaw = format.TextRaw(e.Link)
		if e.Component != inspect.NoComponent {
			line.Component = in.Components[e.Component]
		}
		p.JSON(line)
	}
}

// nodeLine is a path of the file system in JSON.
type nodeLine struct {
	Path      string `json:"path"`
	PathRaw   []byte `json:"path_raw,omitempty"`
	Dir       bool   `json:"dir,omitempty"`
	Bytes     int64  `json:"bytes"`
	Layer     int    `json:"layer"`
	Target    string `json:"target,omitempty"`
	TargetRaw []byte `json:"target_raw,omitempty"`
}

// Tree prints a file system, indented.
func Tree(p *Printer, nodes []inspect.Node, asJSON bool) {
	if !asJSON {
		p.Linef("      size  layer  path")
	}
	for _, n := range nodes {
		if asJSON {
			line := nodeLine{Dir: n.Dir, Bytes: n.Bytes, Layer: n.Layer}
			line.Path, line.PathRaw = format.TextRaw(n.Path)
			line.Target, line.TargetRaw = format.TextRaw(n.Target)
			p.JSON(line)
			continue
		}
		name := quote.Name(path.Base(n.Path))
		switch {
		case n.Target != "":
			name += " -> " + quote.Name(n.Target)
		case n.Dir && n.Path != "/":
			name += "/"
		}
		p.Linef("%10s  %5d  %s%s", console.Bytes(n.Bytes), n.Layer, strings.Repeat("  ", n.Depth), name)
	}
}
