package tests

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"chunkah/tests/browser"
	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// rewrittenRoots contains two roots. With --max-stale 10 %, the layer of opt/a is rewritten,
// because f changed, and the layer of opt/b is kept.
var rewrittenRoots = [2]string{
	"file /opt/a/f size=400000\nfile /opt/a/g size=500000\nfile /opt/b/big size=900000\nfile /opt/b/small size=10000\nfile /opt/c/x size=300000\n",
	"file /opt/a/f size=400001\nfile /opt/a/g size=500000\nfile /opt/b/big size=900000\nfile /opt/b/small size=10001\nfile /opt/c/x size=300000\n",
}

// rewritten builds both roots, the second with patch layers, and returns the images.
func rewritten(t *testing.T) (was, now string) {
	t.Helper()
	layout := "oci:" + filepath.Join(t.TempDir(), "layout")
	args := []string{"build", "-q", "--config-str", "{}", "--max", "8", "--compress", "gzip", "--rootfs"}
	clients.Run(t, exec.Command("chunkah", append(args, mkroot.Make(t, rewrittenRoots[0]), "-o", layout+":1")...))
	clients.Run(t, exec.Command("chunkah", append(args, mkroot.Make(t, rewrittenRoots[1]), "--previous", layout+":1", "--max-stale", "10%", "-o", layout+":2")...))
	return layout + ":1", layout + ":2"
}

// Commands report why a layer of the previous image was rewritten, and the plan shows how many of
// its bytes were stale.
func TestReasonsForRewrittenLayers(t *testing.T) {
	was, now := rewritten(t)
	const why = ` was rewritten because its stale bytes exceeded the limit`
	for _, c := range []struct{ args, want string }{
		{"reuse OLD NEW", `(?m)^layer \d of the old image \([0-9.]+ kB\)` + why + `$`},
		{"reuse OLD NEW", `(?m) chunkah/unclaimed/opt/a: 1 of 2 files changed: layer \d of the old image` + why + `$`},
		{"reuse OLD NEW", `(?m)^ +50\d\.\d kB    because their layer was rewritten: its stale bytes exceeded the limit$`},
		{"reuse --markdown OLD NEW", `(?m)^- layer \d of the old image \([0-9.]+ kB\)` + why + `$`},
		{"reuse --json OLD NEW", `"rewritten_layers":\[\{"layer":\d,"bytes":\d+,"reason":"stale"\}\].*"reason":"stale","why":"layer \d of the old image` + why + `"`},
		{"inspect NEW", `(?m)^layer \d was made by a build that rewrote 1 layer because its stale bytes exceeded the limit$`},
		{"inspect --json NEW", `"rewritten":\[\{"diff_id":"sha256:[0-9a-f]{64}","reason":"stale"\}\]`},
		{"doctor -v NEW", `(?m)^chunkah: layer \d: 10\.8 kB, hidden by layer \d$`},
	} {
		args := strings.Fields(strings.NewReplacer("OLD", was, "NEW", now).Replace(c.args))
		if res := start(t, exec.Command("chunkah", args...)); res.code != 0 || !regexp.MustCompile(c.want).MatchString(res.stdout+res.stderr) {
			t.Errorf("%s: no %s: status %d\n%s%s", c.args, c.want, res.code, res.stdout, res.stderr)
		}
	}
	// If the same root is built again, all layers are kept, and the reason remains in the history.
	again := strings.TrimSuffix(now, ":2") + ":3"
	root := mkroot.Make(t, rewrittenRoots[1])
	clients.Run(t, exec.Command("chunkah", "build", "-q", "--config-str", "{}", "--max", "8", "--compress", "gzip", "--rootfs", root, "--previous", now, "--max-stale", "10%", "-o", again))
	digests := func(image string) string {
		return strings.Split(clients.Run(t, exec.Command("chunkah", "inspect", image)), "\n")[1]
	}
	if got, want := digests(again), digests(now); got != want {
		t.Errorf("the same root again gives %s, want %s", got, want)
	}
	// The plan contains the number of stale bytes in the layer that is rewritten.
	res := start(t, exec.Command("chunkah", "build", "--explain", "--config-str", "{}", "--max", "8", "--rootfs", root, "--previous", was, "--max-stale", "10%", "-o", "oci-archive:"+filepath.Join(t.TempDir(), "x")))
	if want := `(?m)^ +\d +901\.6 kB +400\.9 kB  rewritten because its stale bytes exceeded the limit$`; !regexp.MustCompile(want).MatchString(res.stdout) {
		t.Errorf("no %s: status %d\n%s%s", want, res.code, res.stdout, res.stderr)
	}
}

// Pages show the stale bytes of patch layers, which layers hide them, and why a layer was not kept.
// They are readable in light and dark mode and in a narrow window.
func TestPatchLayersInABrowser(t *testing.T) {
	clients.Need(t, "chromium")
	was, now := rewritten(t)
	dir := t.TempDir()
	reusePage, imagePage := filepath.Join(dir, "reuse.html"), filepath.Join(dir, "image.html")
	clients.Run(t, exec.Command("chunkah", "reuse", "-q", "--html", reusePage, was, now))
	clients.Run(t, exec.Command("chunkah", "inspect", "-q", "--html", imagePage, now))
	p := browser.Open(t, "file://"+reusePage+"#open=all")
	check := func(page string, want map[string]string) {
		t.Helper()
		for expression, want := range want {
			if got := p.Text(expression); got != want {
				t.Errorf("%s: %s is %q, want %q", page, expression, got, want)
			}
		}
	}
	const (
		notes  = `[...document.querySelectorAll("#notes li")].map(n => n.textContent.replace(/[0-9.]+ kB/, "N kB").replace(/Layer \d/, "Layer N")).join(" | ")`
		column = `[...document.querySelectorAll("#all th")].map(h => h.textContent).join()`
		// rows evaluates to the details that the page shows about a layer.
		rows  = `[...document.querySelectorAll("#detail dt")].map(d => d.textContent + ": " + d.nextSibling.textContent).join(" | ").replace(/[0-9.]+ kB/g, "N kB").replace(/layer \d/, "layer N")`
		stale = `{ const pos = view.layers.findIndex(l => l.stale); choose(cells.find(c => c.item.key === "" + pos), true); 0 }`
		newer = `{ const pos = view.layers.findIndex(l => l.rewritten); choose(cells.find(c => c.item.key === "" + pos), true); 0 }`
	)
	check("reuse", map[string]string{
		`document.getElementById("fault").hidden`: "true",
		notes:  "N kB of files in 1 layer are stale: upper layers hide them. | Layer N of the old image (N kB) was rewritten because its stale bytes exceeded the limit.",
		column: "layer,size,compressed,stability,chain,files,stale,hidden by,contents",
		`[...document.querySelectorAll("#all tbody tr")].filter(r => r.children[6].textContent === "10.8 kB").length`:                                                           "1",
		`[...document.querySelectorAll("#why td:last-child")].some(d => /opt.a: changed: layer \d of the old image was rewritten because its stale bytes/.test(d.textContent))`: "true",
	})
	p.Eval(stale, new(int))
	if got := p.Text(rows); !strings.Contains(got, " | stale: N kB, hidden by layer N | ") {
		t.Errorf("a stale layer: %s", got)
	}
	p.Eval(newer, new(int))
	if got := p.Text(rows); !strings.Contains(got, " | its build rewrote: 1 layer because its stale bytes exceeded the limit") {
		t.Errorf("a new layer: %s", got)
	}
	readable(t, p, "reuse")
	p.Go("file://" + imagePage + "#open=all&colour=waste")
	check("image", map[string]string{
		`document.getElementById("fault").hidden`:                                        "true",
		`document.getElementById("notes").hidden`:                                        "true",
		`document.getElementById("question").textContent.includes("10.0 kB of them, i")`: "true",
		column: "layer,size,compressed,stability,chain,files,stale,hidden by,contents",
	})
	p.Eval(stale, new(int))
	if got := p.Text(rows); !strings.Contains(got, " | stale: N kB, hidden by layer N | waste: N kB hidden") {
		t.Errorf("a stale layer: %s", got)
	}
	readable(t, p, "image")
}

// readable checks the contrast in light and dark mode, and checks that a narrow window has no
// horizontal scroll bar.
func readable(t *testing.T, p *browser.Page, name string) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		p.Prefer(scheme)
		if got := p.Text(contrast); got != "enough" {
			t.Errorf("%s, %s: the least contrast is %s", name, scheme, got)
		}
		for _, width := range []int{1300, 420} {
			p.Width(width)
			if got := p.Text("document.documentElement.scrollWidth <= innerWidth"); got != "true" {
				t.Errorf("%s is wider than a window of %d pixels", name, width)
			}
			p.Shot(filepath.Join(t.ArtifactDir(), name+"-"+scheme+"-"+map[bool]string{true: "wide", false: "narrow"}[width > 1000]+".png"))
		}
	}
	p.Prefer("light")
	p.Width(1300)
}
