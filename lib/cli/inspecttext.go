package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"chunkah/format"
	"chunkah/lib/inspect"
)

// A table shows so many layers of a component, and so much of a list of names or of a
// command: a line of a wide terminal.
const (
	shownLayers = 3
	shownRunes  = 80
)

// notTold stands for the component of files that belong to one of several.
const notTold = "(not told apart)"

// table aligns numbers to the right. Of the last column, which is text, a line has as
// much as it needs.
func table(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

// printLayers prints a line for each layer, from the bottom up.
func printLayers(w io.Writer, s *inspect.Summary) error {
	created := ""
	if s.Created != nil {
		created = ", created " + s.Created.UTC().Format(time.RFC3339)
	}
	if _, err := fmt.Fprintf(w, "%s\n%s, %s%s\n\n", printable(s.Image), s.Digest, printable(s.Platform), created); err != nil {
		return err
	}
	t := table(w)
	fmt.Fprintln(t, "layer\tsize\tcompressed\tstability\tchain\tfiles\t  holds")
	for _, l := range s.Layers {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t  %s\n", l.Index, sizeText(l.Bytes), compressedText(l), stabilityText(l.Stability), stabilityText(l.ChainStability), count(l.Files), holds(l))
	}
	fmt.Fprintf(t, "total\t%s\t%s\t\t\t\t  in %s\n", sizeText(s.Bytes), bytesText(s.Compressed), plural(int64(len(s.Layers)), "layer"))
	return t.Flush()
}

// compressedText is the size of a blob, where it is not the tar itself.
func compressedText(l inspect.LayerSummary) string {
	if l.Digest == l.DiffID {
		return "plain"
	}
	return bytesText(l.Compressed)
}

// sizeText is a size that may not be known.
func sizeText(n *int64) string {
	if n == nil {
		return "-"
	}
	return bytesText(*n)
}

func count(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

// stabilityText is the chance to stay as it is for a week.
func stabilityText(ppm *int64) string {
	if ppm == nil {
		return "unknown"
	}
	return percent(*ppm) + "%"
}

// holds says what is in a layer: its components, or the step that made it.
func holds(l inspect.LayerSummary) string {
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

// shorten makes one short line of a step.
func shorten(s string) string {
	if len(s) > shownRunes*utf8.UTFMax*2 {
		s = s[:shownRunes*utf8.UTFMax*2] // no line shows as much
	}
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > shownRunes {
		s = string(runes[:shownRunes-1]) + "…"
	}
	return printable(s)
}

// printable is a text of an image for a terminal: as it is, or quoted as in Go where
// it holds what is not for reading.
func printable(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// printComponents prints a line for each component.
func printComponents(w io.Writer, s *inspect.Summary) error {
	t := table(w)
	fmt.Fprintln(t, "size\tfiles\tlayer\tstability\t  component")
	for _, c := range s.Components {
		name := printable(c.Name)
		if c.Name == "" {
			name = notTold
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t  %s\n", bytesText(c.Bytes), c.Files, layerNumbers(c.Layers), stabilityText(c.Stability), name)
	}
	return t.Flush()
}

// layerNumbers names a few layers.
func layerNumbers(list []int) string {
	if len(list) > shownLayers {
		return plural(int64(len(list)), "layer")
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
}

// fileLine is an entry of a layer as tools read it.
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

// text is a name that may not be UTF-8, for JSON.
func text(s string) (shown string, raw []byte) {
	if utf8.ValidString(s) {
		return s, nil
	}
	return format.Text(s), []byte(s)
}

// printFiles prints the entries of a layer as they stand in it.
func (c *inspectCommand) printFiles(w io.Writer, in *inspect.Image, l *inspect.Layer) error {
	enc := json.NewEncoder(w)
	for i := range l.Entries {
		e := &l.Entries[i]
		if !c.JSON {
			target := ""
			if e.Link != "" {
				target = " -> " + printable(e.Link)
			}
			if _, err := fmt.Fprintf(w, "%-8s %04o %5d:%-5d %12d %s %s%s\n", e.Type(), e.Mode, e.UID, e.GID, e.Size,
				time.Unix(e.MTime, 0).UTC().Format(time.RFC3339), printable(e.Path), target); err != nil {
				return err
			}
			continue
		}
		line := fileLine{Type: e.Type(), Mode: fmt.Sprintf("%04o", e.Mode), UID: e.UID, GID: e.GID, Size: e.Size, MTime: e.MTime}
		line.Path, line.PathRaw = text(e.Path)
		line.Target, line.TargetRaw = text(e.Link)
		if e.Component != inspect.NoComponent {
			line.Component = in.Components[e.Component]
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// nodeLine is a path of the file system as tools read it.
type nodeLine struct {
	Path      string `json:"path"`
	PathRaw   []byte `json:"path_raw,omitempty"`
	Dir       bool   `json:"dir,omitempty"`
	Bytes     int64  `json:"bytes"`
	Layer     int    `json:"layer"`
	Target    string `json:"target,omitempty"`
	TargetRaw []byte `json:"target_raw,omitempty"`
}

// printTree prints a file system, indented.
func (c *inspectCommand) printTree(w io.Writer, nodes []inspect.Node) error {
	enc := json.NewEncoder(w)
	if !c.JSON {
		fmt.Fprintln(w, "      size  layer  path")
	}
	for _, n := range nodes {
		if c.JSON {
			line := nodeLine{Dir: n.Dir, Bytes: n.Bytes, Layer: n.Layer}
			line.Path, line.PathRaw = text(n.Path)
			line.Target, line.TargetRaw = text(n.Target)
			if err := enc.Encode(line); err != nil {
				return err
			}
			continue
		}
		name := printable(path.Base(n.Path))
		switch {
		case n.Target != "":
			name += " -> " + printable(n.Target)
		case n.Dir && n.Path != "/":
			name += "/"
		}
		if _, err := fmt.Fprintf(w, "%10s  %5d  %s%s\n", bytesText(n.Bytes), n.Layer, strings.Repeat("  ", n.Depth), name); err != nil {
			return err
		}
	}
	return nil
}
