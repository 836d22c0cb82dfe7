// Package page draws the results of packages inspect and reuse as one self-contained HTML page: a
// treemap, bars for before and after, search, tables.
//
// Names from the image are data in the page and are only shown as text. The page's policy allows no
// script but its own. The same images give the same bytes.
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

// scripts are the parts of the page's script, in the order of their dependencies.
var scripts = []string{"data.js", "treemap.js", "view.js", "search.js", "main.js"}

// content is the data for the page's script.
type content struct {
	Kind       string   `json:"kind"`
	Steps      int      `json:"steps,omitempty"`
	Mean       int64    `json:"mean,omitempty"` // bytes downloaded per step
	Bars       []bar    `json:"bars"`
	Components []string `json:"components"`
	Layers     []layer  `json:"layers"`
	Parts      []part   `json:"parts,omitempty"`
	// Clients are the costs of the last step, Chosen is the client of bars and parts.
	Clients []reuse.Cost `json:"clients,omitempty"`
	Chosen  string       `json:"chosen,omitempty"`
}

// Inspect writes the page for an image that was read.
func Inspect(w io.Writer, in *inspect.Image) error {
	c := newContent("inspect", in)
	c.Bars = stabilityBars(in)
	return write(w, c, shown(in.Source), subtitle(in), "Bytes before and after compression, by stability")
}

// Reuse writes the page for what clients download. The last image was read, and so were both images
// of each step. The steps were computed for the chosen client.
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

// shown makes a text from an image safe to display. Control characters, and characters that change
// the direction of text, could disguise a name and become U+FFFD. Browsers show line ends as
// spaces.
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

// write fills in the template.
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
	data, err := json.Marshal(c) // escapes < and >, so that no name can end the script element
	if err != nil {
		return fmt.Errorf("encoding the page's data: %w", err)
	}
	return page.Execute(w, map[string]any{
		"Title": title, "Subtitle": subtitle, "BarsLabel": bars,
		"Policy": fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", hash(style), hash(script)),
		"Style":  template.CSS(style), "Script": template.JS(script), "Data": template.JS(data), // style and script are ours, the data is JSON
	})
}

// hash returns the hash of a script or style for the policy.
func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// bar is a bar of segments.
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

// stabilityClasses are the lower limits of the classes in the legend (assets/data.js), in parts per
// million.
var stabilityClasses = []int64{999_000, 990_000, 950_000, 800_000, 500_000, 0}

// stabilityBars divides the bytes of all layers by stability.
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

// classNames describe the classes.
var classNames = []string{"99.9 % and more", "99 to 99.9 %", "95 to 99 %", "80 to 95 %", "50 to 80 %", "less than 50 %"}

// stepBars has a bar for the first image, and for each later image what clients keep and download.
func stepBars(series *reuse.Series) []bar {
	first := series.Steps[0]
	bars := []bar{newBar(shown(first.Old), segment{"kept", "already present", first.OldBytes})}
	for _, s := range series.Steps {
		unchanged := int64(0)
		for _, p := range s.Parts {
			if p.Unchanged != nil {
				unchanged += *p.Unchanged
			}
		}
		changed := s.Download - unchanged
		bars = append(bars, newBar(shown(s.New), segment{"kept", "already present", s.Bytes - s.Download},
			segment{"unchanged", "downloaded although unchanged", unchanged}, segment{"changed", "downloaded, changed or new", changed}))
	}
	return bars
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
