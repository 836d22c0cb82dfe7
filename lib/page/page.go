// Package page draws what package inspect and package reuse tell, as one page of HTML
// that loads nothing: a treemap, bars for before and after, search, tables.
//
// The page holds the names of an image as data and shows them as text; its policy
// allows no other script than its own. The same images give the same bytes.
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
	"strings"
	"unicode"
	"unicode/utf8"

	"chunkah/format"
	"chunkah/lib/inspect"
	"chunkah/lib/reuse"
)

//go:embed assets
var assets embed.FS

// scripts are the parts of the page's script, in the order in which they need each
// other.
var scripts = []string{"data.js", "treemap.js", "view.js", "search.js", "main.js"}

// content is what the page is about, for its script.
type content struct {
	Kind       string   `json:"kind"`
	Steps      int      `json:"steps,omitempty"`
	Mean       int64    `json:"mean,omitempty"` // bytes of a step's download
	Bars       []bar    `json:"bars"`
	Components []string `json:"components"`
	Layers     []layer  `json:"layers"`
	Parts      []part   `json:"parts,omitempty"`
	// Clients are what the last step costs each client, Chosen the one of bars and parts.
	Clients []reuse.Cost `json:"clients,omitempty"`
	Chosen  string       `json:"chosen,omitempty"`
}

// Inspect draws an image that was read.
func Inspect(w io.Writer, in *inspect.Image) error {
	c := newContent("inspect", in)
	c.Bars = stabilityBars(in)
	return write(w, c, shown(in.Source), subtitle(in), "Bytes before and after compression, by stability")
}

// Reuse draws what clients download for images, the last of which was read, as both
// images of each step. The steps are those of the chosen client.
func Reuse(w io.Writer, series *reuse.Series, last *inspect.Image, chosen reuse.Client) error {
	c := newContent("reuse", last)
	c.Bars = stepBars(series)
	step := series.Steps[len(series.Steps)-1]
	for i := range c.Layers {
		c.Layers[i].Missing = step.Missing[i]
	}
	c.addParts(step)
	c.Steps, c.Mean = len(series.Steps), series.Mean
	c.Chosen, c.Clients = cmp.Or(string(chosen), "podman or containerd"), step.Clients
	return write(w, c, shown(step.Old)+" to "+shown(step.New), subtitle(last), "Bytes before and after the update")
}

// shown is a text of an image as a browser can have it. Controls, and what sets the
// direction of writing, would show another name: U+FFFD stands for them. Ends of lines are
// space to a browser.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return utf8.RuneError
		}
		return r
	}, format.Text(s))
}

func subtitle(in *inspect.Image) string {
	layers := "1 layer"
	if n := len(in.Layers); n != 1 {
		layers = fmt.Sprintf("%d layers", n)
	}
	s := fmt.Sprintf("%s, %s, %s", in.Manifest.Digest, shown(in.Platform), layers)
	if in.Created != nil {
		s += ", created " + in.Created.UTC().Format("2006-01-02 15:04:05") + " UTC"
	}
	return s
}

// write fills the template.
func write(w io.Writer, c *content, title, subtitle, bars string) error {
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
	data, err := json.Marshal(c) // which escapes < and >: no name ends the element that it stands in
	if err != nil {
		return fmt.Errorf("encoding the page's data: %w", err)
	}
	return page.Execute(w, map[string]any{
		"Title": title, "Subtitle": subtitle, "BarsLabel": bars,
		"Policy": fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", hash(style), hash(script)),
		"Style":  template.CSS(style), "Script": template.JS(script), "Data": template.JS(data), // style and script are ours, the data is JSON
	})
}

// hash names a script or style in a policy.
func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// bar is one bar, of parts beside each other.
type bar struct {
	Name     string    `json:"name"`
	Total    int64     `json:"total"`
	Segments []segment `json:"segments"`
}

// segment is a part of a bar. Its kind is a class of the style.
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

// stabilityClasses are those of the legend (assets/data.js): the least stability, in
// parts per million.
var stabilityClasses = []int64{999_000, 990_000, 950_000, 800_000, 500_000, 0}

// stabilityBars are the bytes of all layers by stability.
func stabilityBars(in *inspect.Image) []bar {
	var before, after []segment
	for i := range stabilityClasses {
		kind := segment{Kind: fmt.Sprintf("c%d", i), Name: classNames[i]}
		before, after = append(before, kind), append(after, kind)
	}
	before, after = append(before, segment{Kind: "cu", Name: "unknown"}), append(after, segment{Kind: "cu", Name: "unknown"})
	for _, l := range in.Layers {
		at := len(stabilityClasses)
		for i, least := range stabilityClasses {
			if l.Stability >= least {
				at = i
				break
			}
		}
		before[at].Bytes += l.Bytes
		after[at].Bytes += l.Descriptor.Size
	}
	return []bar{newBar("before compression", before...), newBar("compressed", after...)}
}

// classNames are the classes in words.
var classNames = []string{"99.9 % and more", "99 to 99.9 %", "95 to 99 %", "80 to 95 %", "50 to 80 %", "less than 50 %"}

// stepBars are the image that a client has, and what becomes of each next one.
func stepBars(series *reuse.Series) []bar {
	first := series.Steps[0]
	bars := []bar{newBar(shown(first.Old), segment{"kept", "there already", first.OldBytes})}
	for _, s := range series.Steps {
		along := int64(0)
		for _, p := range s.Parts {
			if p.Unchanged != nil {
				along += *p.Unchanged
			}
		}
		changed := s.Download - along
		bars = append(bars, newBar(shown(s.New), segment{"kept", "there already", s.Bytes - s.Download},
			segment{"along", "downloaded although unchanged", along}, segment{"changed", "downloaded, changed or new", changed}))
	}
	return bars
}

// part is a part of a download.
type part struct {
	Layer     int    `json:"layer"`
	Component int    `json:"component"`
	State     string `json:"state"`
	Download  *int64 `json:"download"`
	Changed   *int64 `json:"changed"`
	Unchanged *int64 `json:"unchanged"`
	Why       string `json:"why,omitempty"`
}

func (c *content) addParts(step *reuse.Step) {
	numbers := make(map[string]int, len(c.Components))
	for i, name := range c.Components {
		numbers[name] = i
	}
	for _, p := range step.Parts {
		n, known := numbers[shown(p.Component)]
		if !known {
			n = inspect.NoComponent
		}
		c.Parts = append(c.Parts, part{p.Layer, n, string(p.State), p.Download, p.Changed, p.Unchanged, shown(p.Why)})
	}
}
