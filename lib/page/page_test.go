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
	in.Manifest.Digest = digest.FromString("manifest")
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

// The columns give back every path unchanged.
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

// No name from an image can end its script element, and the policy allows only the page's own
// script and style.
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

func TestStabilityBars(t *testing.T) {
	in := made(nil, nil, nil, nil)
	in.Layers[0].Stability, in.Layers[1].Stability, in.Layers[2].Stability = 1_000_000, 950_000, 0
	bars := stabilityBars(in)
	var got []int64
	for _, s := range bars[0].Segments {
		got = append(got, s.Bytes)
	}
	if want := []int64{1000, 0, 1000, 0, 0, 1000, 1000}; !slices.Equal(got, want) || bars[0].Total != 4000 || bars[1].Total != 2000 {
		t.Errorf("got %v, want %v; %d and %d bytes", got, want, bars[0].Total, bars[1].Total)
	}
	script, err := assets.ReadFile("assets/data.js")
	if err != nil {
		t.Fatal(err)
	}
	for i, least := range stabilityClasses { // the legend must have the same classes
		text, _ := json.Marshal([]any{least, classNames[i]})
		if !strings.Contains(strings.ReplaceAll(string(script), ", ", ","), string(text)) {
			t.Errorf("data.js has no class %s", text)
		}
	}
}

func TestReusePage(t *testing.T) {
	in := made([]string{"/a"}, []string{"/b"})
	n := func(n int64) *int64 { return &n }
	s := &reuse.Series{}
	s.Add(&reuse.Step{Old: "a", New: "b", OldBytes: 900, Bytes: 1000, Download: 500, Missing: []bool{false, true}, Clients: []reuse.Cost{{Client: reuse.Docker, Download: 500}}, Parts: []reuse.Part{
		{Layer: 1, Component: "</script>", State: reuse.StateChanged, Download: n(500), Changed: n(200), Unchanged: n(300), Why: "<b>"},
		{Layer: 1, Component: "", State: reuse.StateNew, Download: n(0), Changed: n(0), Unchanged: n(0)},
	}})
	var b bytes.Buffer
	if err := Reuse(&b, s, in, reuse.Docker); err != nil {
		t.Fatal(err)
	}
	c := dataOf(t, b.String())
	if c.Layers[0].Missing || !c.Layers[1].Missing || c.Parts[0].Component != 1 || c.Parts[1].Component != -1 || c.Parts[0].Why != "<b>" ||
		c.Chosen != "docker" || c.Clients[0].Download != 500 {
		t.Errorf("got %+v", c)
	}
	var got []int64
	for _, s := range c.Bars[1].Segments {
		got = append(got, s.Bytes)
	}
	if want := []int64{500, 300, 200}; !slices.Equal(got, want) || c.Bars[0].Total != 900 {
		t.Errorf("got %v, want %v", got, want)
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
