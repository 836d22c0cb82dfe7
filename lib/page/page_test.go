package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/inspect"
	"chunkah/lib/reuse"
)

// made returns an image with layers that contain these paths.
func made(layers ...[]string) *inspect.Image {
	in := &inspect.Image{Source: "oci:</title><script>", Platform: "linux/amd64", Components: []string{"a", "</script>"}}
	in.Digest = digest.FromString("manifest")
	for i, paths := range layers {
		l := inspect.Layer{Stability: inspect.Unknown, Bytes: 1000}
		l.Layer = image.Layer{Descriptor: v1.Descriptor{Digest: digest.FromString(string(rune(i))), Size: 500}, DiffID: digest.FromString("x")}
		l.History.CreatedBy = "RUN </script>"
		for j, path := range paths {
			l.Entries = append(l.Entries, inspect.Entry{Path: path, Size: int64(j), Component: int32(i%3) - 1})
		}
		in.Layers = append(in.Layers, l)
	}
	return in
}

func draw(t *testing.T, in *inspect.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := Inspect(&b, in); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// dataOf returns the data for the page's script.
func dataOf(t *testing.T, page string) *content {
	t.Helper()
	_, rest, _ := strings.Cut(page, `<script type="application/json" id="data">`)
	text, _, found := strings.Cut(rest, "</script>")
	var c content
	if err := json.Unmarshal([]byte(text), &c); err != nil || !found {
		t.Fatalf("%v: %.200s", err, text)
	}
	return &c
}

// Every path can be restored unchanged from the columns.
func TestPaths(t *testing.T) {
	paths := []string{"/a", "/a/b", "/a/b\n", "/a/</script><script>alert(1)</script>", "/a/é", "/a/éa", "/a/日本", "/a/日本語", "/x\u2028", "/x\xff", "/x\xffy", ""}
	c := dataOf(t, draw(t, made(paths, nil, paths)))
	for _, at := range []int{0, 2} {
		var got []string
		last := ""
		for i, n := range c.Layers[at].Common {
			last = last[:n] + c.Layers[at].Rest[i]
			got = append(got, last)
		}
		want := slices.Clone(paths)
		want[9], want[10] = "/x\ufffd", "/x\ufffdy"
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if c.Layers[0].Components != float64(-1) || c.Layers[2].Components != float64(1) {
		t.Errorf("got %v and %v", c.Layers[0].Components, c.Layers[2].Components)
	}
}

// No name from an image can end the page's script element, and the content security policy allows
// only the page's own script and style.
func TestPageIsSafe(t *testing.T) {
	page := draw(t, made([]string{"/</script><script>hacked</script>", "/<!--", "/]]>", "/&lt;"}))
	if n := strings.Count(page, "<script"); n != 2 {
		t.Errorf("there are %d scripts", n)
	}
	if n := strings.Count(page, "</script"); n != 2 {
		t.Errorf("scripts end %d times", n)
	}
	for _, not := range []string{"<script>hacked", "<!--", "http:", "https:", "//cdn", "@import", "src=", "innerHTML", "eval("} {
		if strings.Contains(page, not) {
			t.Errorf("the page has %q", not)
		}
	}
	policy := regexp.MustCompile(`content="(default-src[^"]*)"`).FindStringSubmatch(page)
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page)
	script := regexp.MustCompile(`(?s)<script>(.*)</script>`).FindStringSubmatch(page)
	if policy == nil || style == nil || script == nil {
		t.Fatal("the page has no policy, style or script")
	}
	said := strings.NewReplacer("&#39;", "'", "&#43;", "+").Replace(policy[1])
	want := "default-src 'none'; style-src '" + hash([]byte(style[1])) + "'; script-src '" + hash([]byte(script[1])) + "'; base-uri 'none'; form-action 'none'"
	if said != want {
		t.Errorf("the policy is %s, want %s", said, want)
	}
}

func TestPageIsReproducible(t *testing.T) {
	in := made([]string{"/a", "/b"}, []string{"/c"})
	if first, again := draw(t, in), draw(t, in); first != again {
		t.Error("two pages of the same image differ")
	}
}

// The page of a series contains each layer once, and shows for each file whether it changed.
func TestSeries(t *testing.T) {
	n := func(n int64) *int64 { return &n }
	old, next := made([]string{"/a"}, []string{"/b", "/c"}), made([]string{"/a"}, []string{"/b", "/c", "/d", "/e"})
	next.Layers[1].Descriptor.Digest, next.Layers[1].DiffID = digest.FromString("new"), digest.FromString("new")
	next.Layers[1].Entries[0].Content = [16]byte{1}
	cost := []reuse.Cost{{Client: reuse.Docker, Download: 500}}
	s := NewSeries(reuse.Docker)
	s.Add(&reuse.Step{Old: "oci:app:1", New: "oci:app:2", OldBytes: 900, Bytes: 1000, Download: 500, Missing: []bool{false, true}, Clients: cost, Parts: []reuse.Part{
		{Layer: 1, Component: "</script>", State: reuse.StateChanged, Download: n(500), Changed: n(200), Unchanged: n(300), Why: "<b>"},
		{Layer: 1, Component: "", State: reuse.StateNew, Download: n(0), Changed: n(0), Unchanged: n(0)},
	}}, old, next)
	s.Add(&reuse.Step{Old: "oci:app:2", New: "oci:app:3", OldBytes: 1000, Bytes: 1000, Missing: []bool{false, false}}, next, next)
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	c := dataOf(t, b.String())
	if len(c.Layers) != 3-1 || len(c.Views) != 2 || c.Chosen != "docker" || c.Mean != 250 {
		t.Fatalf("got %d layers, %d views: %+v", len(c.Layers), len(c.Views), c)
	}
	v := c.Views[0]
	if v.Layers[0].Missing || v.Layers[0].Runs != nil || !v.Layers[1].Missing || !slices.Equal(v.Layers[1].Runs, []int{0, 1, 1, 2}) {
		t.Errorf("the layers are %+v", v.Layers)
	}
	if v.Answer != "500 bytes" || v.Of != "of 1.0 kB" || v.Label != "2" || v.Unchanged != 300 || v.Parts[0].Component != 1 || v.Parts[1].Component != -1 || v.Parts[0].Why != "<b>" {
		t.Errorf("got %+v", v)
	}
	var got []int64
	for _, s := range v.Bars[1].Segments {
		got = append(got, s.Bytes)
	}
	if want := []int64{500, 300, 200}; !slices.Equal(got, want) || v.Bars[0].Total != 900 {
		t.Errorf("got %v, want %v", got, want)
	}
	if !strings.Contains(b.String(), `<h1 id="answer">0 bytes of 1.0 kB</h1>`) {
		t.Error("without JavaScript there is no answer")
	}
}

func TestPrefixLength(t *testing.T) {
	for _, tt := range []struct {
		names []string
		want  int
	}{
		{nil, 0},
		{[]string{"oci:app:1"}, 0},
		{[]string{"oci:app:1", "oci:app:2"}, 8},
		{[]string{"oci:app:1", "oci:app:1"}, 0},
		{[]string{"docker://registry.example/app:12", "docker://registry.example/app:13"}, 30},
		{[]string{"oci:a/x", "oci:b/x"}, 4},
		{[]string{"oci:a", "oci:a:2"}, 4},
	} {
		if got := prefixLength(tt.names); got != tt.want {
			t.Errorf("%q: got %d, want %d", tt.names, got, tt.want)
		}
	}
}

// The page of an image counts the files that higher layers hide.
func TestWaste(t *testing.T) {
	in := made([]string{"/a", "/b", "/c"}, []string{"/b"})
	c := dataOf(t, draw(t, in))
	if got := c.Views[0].Layers[0].Runs; !slices.Equal(got, []int{1, 1, 1}) {
		t.Errorf("hidden are %v", got)
	}
	if want := "has 3 bytes of files. 1 byte of them, in 1 file, are wasted"; !strings.Contains(c.Views[0].Question, want) {
		t.Errorf("got %q, want %q", c.Views[0].Question, want)
	}
}

type broken struct{}

var errBroken = errors.New("broken")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteError(t *testing.T) {
	if err := Inspect(broken{}, made(nil)); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

// Names cannot be disguised as other names.
func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"/a b/é": "/a b/é", "a\u202egnp": "a\ufffdgnp", "\u2066x\u2069": "\ufffdx\ufffd", "a\x1b[2J\u009b": "a\ufffd[2J\ufffd", "a\nb": "a\nb", "\xff": "\ufffd",
	} {
		if got := shown(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}
