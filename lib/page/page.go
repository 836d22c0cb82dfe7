// Package page renders the results of packages inspect and reuse as one self-contained HTML page: a
// treemap, bars for before and after, a search and tables.
//
// Names from the image are data in the page and are only shown as text. The page's content security
// policy allows only the page's own script. The same images always produce the same bytes.
package page

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"chunkah/format"
	"chunkah/lib/console"
	"chunkah/lib/inspect"
	"chunkah/lib/reuse"
)

//go:embed assets
var assets embed.FS

// scripts are the parts of the page's script, in the order of their dependencies.
var scripts = []string{"data.js", "colour.js", "treemap.js", "items.js", "view.js", "head.js", "search.js", "main.js"}

// content is the data for the page's script.
type content struct {
	Kind       string   `json:"kind"`
	Mean       int64    `json:"mean,omitempty"` // bytes downloaded per step
	Chosen     string   `json:"chosen,omitempty"`
	Components []string `json:"components"`
	// Layers are the layers of all views. A layer that is in several images of a series is listed
	// only once.
	Layers []layer `json:"layers"`
	// Views are the images that the page can show. In a series, each view includes the update to
	// its image.
	Views []view `json:"views"`

	numbers map[string]int // component name -> number
	places  map[layerKey]int
	// numbered is the image for which numbersOf was last called. ofNumbered contains its numbers.
	numbered   *inspect.Image
	ofNumbered []int32
}

// view is one image of the page.
type view struct {
	// The answer is the largest text on the page: "4.3 MB" of "of 89.5 MB". The question is the
	// text below it.
	Answer   string      `json:"answer"`
	Of       string      `json:"of"`
	Question string      `json:"question"`
	About    string      `json:"about"`
	Label    string      `json:"label"` // the name without the prefix that all names share
	Bars     []bar       `json:"bars"`
	Layers   []viewLayer `json:"layers"`

	// Download is the number of bytes that the chosen client downloads. Unchanged is the part of it
	// that the client already had in other layers.
	Download  int64 `json:"download"`
	Unchanged int64 `json:"unchanged"`
	// Clients are the costs for all clients. Parts are the reasons for the chosen client's
	// download.
	Clients []reuse.Cost `json:"clients,omitempty"`
	Parts   []part       `json:"parts,omitempty"`
	// Rewritten are layers of the old image that the new image did not keep.
	Rewritten []rewritten `json:"rewritten,omitempty"`
}

// rewritten is a layer of the old image. Why completes "it was rewritten because".
type rewritten struct {
	Layer int    `json:"layer"`
	Bytes int64  `json:"bytes"`
	Why   string `json:"why"`
}

// Inspect writes the page for an image whose layers were read.
func Inspect(w io.Writer, in *inspect.Image) error {
	c := newContent("inspect")
	waste := in.Waste()
	v := c.newView(in, waste.Hidden)
	blobs, tars := int64(0), int64(0)
	for _, l := range in.Layers {
		blobs += l.Descriptor.Size
		tars += l.Bytes
	}
	v.Answer, v.Of = console.Bytes(blobs), "in "+console.Plural(int64(len(in.Layers)), "layer")
	v.Question = fmt.Sprintf("%s has %s of files. ", shown(in.Source), console.Bytes(waste.All))
	if waste.Files == 0 {
		v.Question += "No bytes are wasted: the efficiency is 100.00%."
	} else {
		v.Question += fmt.Sprintf("%s of them, in %s, are wasted: higher layers replace or delete them (%s by the same contents). The efficiency is %s.",
			console.Bytes(waste.Bytes), console.Plural(waste.Files, "file"), console.Bytes(waste.Doubled), console.Percent(waste.Efficiency()))
	}
	v.Bars = []bar{newBar("uncompressed", segment{"seen", "size of the tars", tars}), newBar("compressed", segment{"seen", "size of the blobs", blobs})}
	c.Views = append(c.Views, v)
	return c.write(w, shown(in.Source))
}

// Series collects the steps for a page that shows what clients download.
type Series struct {
	content *content
	names   []string
	total   int64
}

// NewSeries returns a page without steps. The steps must be computed for the chosen client.
func NewSeries(chosen reuse.Client) *Series {
	s := &Series{content: newContent("reuse")}
	s.content.Chosen = cmp.Or(string(chosen), "podman or containerd")
	return s
}

// Add adds a step. The layers of both images must have been read. The images can be closed after
// Add returns.
func (s *Series) Add(step *reuse.Step, old, new *inspect.Image) {
	c := s.content
	v := c.newView(new, reuse.Changed(old, new, step.Missing))
	for i := range v.Layers {
		v.Layers[i].Missing = step.Missing[i]
	}
	for _, p := range step.Parts {
		if p.Unchanged != nil {
			v.Unchanged += *p.Unchanged
		}
	}
	v.Download, v.Clients = step.Download, step.Clients
	v.Answer, v.Of = console.Bytes(step.Download), "of "+console.Bytes(step.Bytes)
	v.Question = fmt.Sprintf("%s downloads this to update from %s to %s.", c.Chosen, shown(step.Old), shown(step.New))
	v.Bars = []bar{
		newBar(shown(step.Old), segment{"kept", "all layers", step.OldBytes}),
		newBar(shown(step.New), segment{"kept", "not downloaded", step.Bytes - step.Download},
			segment{"same", "downloaded although unchanged", v.Unchanged}, segment{"changed", "downloaded because it changed", step.Download - v.Unchanged}),
	}
	for _, r := range step.Rewritten {
		v.Rewritten = append(v.Rewritten, rewritten{r.Layer, r.Bytes, shown(r.Reason.Text())})
	}
	c.addParts(&v, step)
	c.Views = append(c.Views, v)
	s.names = append(s.names, shown(step.New))
	s.total += step.Download
}

// Write writes the page. It shows the last step first.
func (s *Series) Write(w io.Writer) error {
	views := s.content.Views
	skip := prefixLength(s.names)
	for i := range views {
		views[i].Label = s.names[i][skip:]
	}
	s.content.Mean = s.total / int64(len(views))
	return s.content.write(w, views[len(views)-1].Answer+" "+views[len(views)-1].Of+": "+s.names[len(views)-1])
}

// prefixLength returns the length of the prefix that all names share. The prefix ends with a colon
// or slash.
func prefixLength(names []string) int {
	if len(names) < 2 {
		return 0
	}
	skip := 0
	for i, b := range []byte(names[0]) {
		for _, name := range names[1:] {
			if i >= len(name) || name[i] != b {
				return skip
			}
		}
		if b == ':' || b == '/' {
			skip = i + 1
		}
	}
	if len(slices.Compact(slices.Clone(names))) == 1 {
		return 0 // all names are the same
	}
	return skip
}

// shown makes a string from an image safe to display. Control characters, and characters that
// change the direction of text, could disguise a name and become U+FFFD. Browsers show newlines as
// spaces.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return utf8.RuneError
		}
		return r
	}, format.Text(s))
}

func about(in *inspect.Image) string {
	s := fmt.Sprintf("%s, %s, %s", in.Digest, shown(in.Platform), console.Plural(int64(len(in.Layers)), "layer"))
	if in.Created != nil {
		s += ", created " + in.Created.UTC().Format("2006-01-02 15:04:05") + " UTC"
	}
	return s
}

// write fills in the template.
func (c *content) write(w io.Writer, title string) error {
	page, err := template.ParseFS(assets, "assets/page.html")
	if err != nil {
		return fmt.Errorf("reading the page's template: %w", err)
	}
	style, err := assets.ReadFile("assets/page.css")
	if err != nil {
		return err
	}
	script := []byte("\"use strict\";\n")
	for _, name := range scripts {
		text, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return err
		}
		script = append(script, text...)
	}
	data, err := json.Marshal(c) // escapes < and >, so that no name can end the script element
	if err != nil {
		return fmt.Errorf("encoding the page's data: %w", err)
	}
	last := c.Views[len(c.Views)-1]
	return page.Execute(w, map[string]any{
		"Title": title, "Answer": last.Answer + " " + last.Of, "Question": last.Question, "About": last.About,
		"Policy": fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", hash(style), hash(script)),
		"Style":  template.CSS(style), "Script": template.JS(script), "Data": template.JS(data), // style and script are part of this program, and the data is JSON
	})
}

// hash returns the hash of a script or style, for the content security policy.
func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// bar is a bar that consists of segments.
type bar struct {
	Name     string    `json:"name"`
	Total    int64     `json:"total"`
	Segments []segment `json:"segments"`
}

// segment is a part of a bar. Its kind is a CSS class.
type segment struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

func newBar(name string, segments ...segment) bar {
	b := bar{Name: name, Segments: segments}
	for _, s := range segments {
		b.Total += s.Bytes
	}
	return b
}

// part is one component's part of a download.
type part struct {
	Layer     int    `json:"layer"`
	Component int    `json:"component"`
	State     string `json:"state"`
	Download  *int64 `json:"download"`
	Changed   *int64 `json:"changed"`
	Unchanged *int64 `json:"unchanged"`
	Why       string `json:"why,omitempty"`
}

func (c *content) addParts(v *view, step *reuse.Step) {
	for _, p := range step.Parts {
		n, known := c.numbers[p.Component]
		if !known {
			n = inspect.NoComponent
		}
		v.Parts = append(v.Parts, part{p.Layer, n, string(p.State), p.Download, p.Changed, p.Unchanged, shown(p.Why)})
	}
}
