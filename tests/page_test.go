package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/inspect"
	"chunkah/lib/page"
	"chunkah/tests/browser"
	"chunkah/tests/clients"
	"chunkah/tests/mkimage"
	"chunkah/tests/mkroot"
)

// hostile is a root with names that contain markup.
const hostile = `
file "/opt/<b>bold&amp;/</script><script>hacked=1</script>" text=x
file "/opt/<b>bold&amp;/<img src=x onerror=hacked=1>" size=30000
file "/opt/quote\"'` + "`" + `${hacked=1}/new\nline\x1b" size=20000
file "/opt/sep\u2028\u2029/bad\xff\xfe" size=10000
file /srv/app/libssl.so size=50000
file /srv/app/main.py size=2000
file /srv/big size=2000000
`

// pageOf writes an image's page and returns its address.
func pageOf(t *testing.T, spec string) string {
	t.Helper()
	dir := t.TempDir()
	layout, name := "oci:"+filepath.Join(dir, "layout"), filepath.Join(dir, "page.html")
	clients.Run(t, exec.Command("chunkah", "build", "--rootfs", mkroot.Make(t, spec), "--max", "3", "--compress", "gzip", "-o", layout))
	clients.Run(t, exec.Command("chunkah", "inspect", "--html", name, layout))
	return "file://" + name
}

// The page works in a browser with the keyboard alone, and with any file names. It loads no other
// resources.
func TestPageInABrowser(t *testing.T) {
	clients.Need(t, "chromium")
	address := pageOf(t, hostile)
	p := browser.Open(t, address)
	want := func(expression, want string) {
		t.Helper()
		if got := p.Text(expression); got != want {
			t.Errorf("%s is %q, want %q", expression, got, want)
		}
	}
	sound := func() {
		t.Helper()
		want(`document.getElementById("fault").hidden + " " + typeof hacked + " " + document.images.length + " " + document.scripts.length`, "true undefined 0 2")
	}
	sound()
	want(`document.querySelectorAll(".cell").length`, "3")
	want(`document.querySelectorAll("#bars .track").length`, "2")
	want(`document.querySelector("#answer strong").textContent.endsWith(" MB")`, "true")
	want(`document.getElementById("question").textContent.includes("the efficiency is 100.00%")`, "true")
	want(`document.querySelector(".cell b").textContent.startsWith("bigfiles/srv/big · 2.0 MB")`, "true")
	want(`[...document.querySelectorAll(".cell span")].filter(s => s.closest(".cell").clientHeight < 60).length`, "0") // no "layer 2" in small cells

	// Tab moves the focus to the search, two choices and the map. The trail contains no elements to
	// press.
	for _, id := range []string{"query", "by", "colour"} {
		p.Press("Tab")
		want("document.activeElement.id", id)
	}
	p.Press("Tab")
	want("document.activeElement.className.split(' ')[0]", "cell")
	want(label, "bigfiles/srv/big")
	p.Press("End")
	last := p.Text(label)
	p.Press("Home")
	want(label, "bigfiles/srv/big")
	p.Press("ArrowRight")
	if got := p.Text(label); got == "bigfiles/srv/big" || last == got && last == "" {
		t.Errorf("the arrow stays at %q", got)
	}
	p.Press("ArrowLeft")
	want(label, "bigfiles/srv/big")

	// Enter opens, Escape goes back.
	p.Press("Enter")
	want(label, "/srv/big")
	want(`document.querySelector("#trail strong").textContent`, "srv")
	p.Press("Escape")
	want(label, "bigfiles/srv/big")
	p.Press("Escape")
	want(label, "bigfiles/srv/big")

	// A slash starts a search, and results can be opened.
	p.Press("/")
	want("document.activeElement.id", "query")
	p.Type("LIBSSL")
	p.Until(`document.getElementById("found").textContent === "nothing found"`)
	p.Press("Escape")
	p.Press("/")
	p.Type("libssl")
	p.Until(`document.getElementById("found").textContent === "1 found"`)
	want(`document.querySelectorAll(".cell.dim").length`, "2")
	want(`document.querySelector("#results button").textContent`, "/srv/app/libssl.so")
	p.Press("Tab")
	p.Press("Enter")
	want(label, "/srv/app/libssl.so")
	want(`document.querySelector("#detail h2").textContent`, "/srv/app/libssl.so")

	// Every file can be found, and its name is shown as text.
	for text, found := range map[string]string{
		"</script>":     "1 found",
		"<img":          "1 found",
		"<b>bold&amp;":  "3 found", // also matches the component
		"new\\nline":    "nothing found",
		"bad\ufffd":     "1 found",
		"${hacked":      "2 found",
		"chunkah/uncl":  "4 found",
		"":              "",
		"nothing of it": "nothing found",
	} {
		p.Eval(fmt.Sprintf(`{ const q = document.getElementById("query"); q.value = %q; q.dispatchEvent(new Event("input")); 0 }`, text), new(int))
		p.Until(fmt.Sprintf(`document.getElementById("found").textContent === %q`, found))
		sound()
	}

	// The address sets the initial view.
	p.Go(address + "#search=main.py&open=all")
	p.Until(`document.getElementById("found").textContent === "1 found"`)
	want(`document.querySelectorAll("#all tbody tr").length`, "3")
	sound()
	for _, url := range p.Requests {
		if !strings.HasPrefix(url, address) {
			t.Errorf("the page asks for %s", url)
		}
	}
}

// contrast evaluates to "enough", or else to the lowest contrast between text and background among
// the elements that have their own text and a plain background (WCAG 2.1, relative luminance).
const contrast = `(() => {
  const parse = c => c.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => { const f = x => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  let least = 99, which = "";
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.offsetParent || e.closest(".dim, script, style")) continue;
    let ground = e;
    while (ground && parse(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
    if (!ground) ground = document.body;
    const a = light(parse(getComputedStyle(e).color)), b = light(parse(getComputedStyle(ground).backgroundColor));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) { least = ratio; which = e.tagName + "." + e.className + " in " + ground.className; }
  }
  return least >= 4.5 ? "enough" : least + " at " + which;
})()`

// The page is readable in light and dark mode, and so are cells of every colour in the map.
func TestPageInLightAndDark(t *testing.T) {
	clients.Need(t, "chromium")
	p := browser.Open(t, pageOf(t, hostile)+"#search=ssl&open=all")
	p.Until(`document.getElementById("found").textContent === "1 found"`)
	// Add a cell of each class to the page, because no single image contains all classes.
	p.Eval(`{ for (const c of ["c0", "c1", "c2", "c3", "c4", "c5", "cr"]) { const e = make("button", undefined, "cell " + c); e.append(make("b", "name"), make("span", "text")); map.append(e); } 0 }`, new(int))
	grounds := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		p.Prefer(scheme)
		if got := p.Text(contrast); got != "enough" {
			t.Errorf("%s: the least contrast is %s", scheme, got)
		}
		grounds[p.Text("getComputedStyle(document.body).backgroundColor")] = true
		p.Shot(filepath.Join(t.TempDir(), scheme+".png"))
	}
	if len(grounds) != 2 {
		t.Errorf("light and dark have the same ground: %v", grounds)
	}
}

// The page shows what clients download, with bars for unchanged data and a list of the missing
// layers.
func TestReusePageInABrowser(t *testing.T) {
	clients.Need(t, "chromium")
	dir := t.TempDir()
	layout, name := "oci:"+filepath.Join(dir, "layout"), filepath.Join(dir, "page.html")
	for i, size := range []string{"4000", "4001"} {
		root := mkroot.Make(t, "file /opt/a/f size="+size+"\nfile /opt/a/g size=5000\nfile /opt/b/f size=9000\nfile /srv/big size=3000000\n")
		cmd := exec.Command("chunkah", "build", "--rootfs", root, "--max", "2", "--compress", "gzip", "-o", fmt.Sprintf("%s:%d", layout, i+1))
		if i > 0 {
			cmd.Args = append(cmd.Args, "--previous", layout+":1")
		}
		clients.Run(t, cmd)
	}
	clients.Run(t, exec.Command("chunkah", "reuse", "--html", name, layout+":1", layout+":2"))
	p := browser.Open(t, "file://"+name)
	for expression, want := range map[string]string{
		`document.getElementById("fault").hidden`:                                                                       "true",
		`document.querySelectorAll(".cell.missing").length`:                                                             "1",
		`document.querySelectorAll(".cell").length`:                                                                     "2",
		`[...document.querySelectorAll("#bars .track")].map(t => t.children.length).join()`:                             "1,3",
		`document.querySelectorAll("#why tbody tr").length`:                                                             "2",
		`document.querySelector("#why tbody").textContent.includes("opt/b: same: shares a layer w")`:                    "true",
		`[...document.querySelectorAll("#legend .key i")].map(i => i.className).join()`:                                 "changed,same,kept",
		`document.getElementById("answer").textContent`:                                                                 "18.3 kB of 3.0 MB",
		`document.querySelector(".cell.missing").getAttribute("aria-label").includes(" downloaded although unchanged")`: "true",
		`document.querySelector(".cell:not(.missing)").className`:                                                       "cell kept",
		`document.getElementById("why").open`:                                                                           "true",
		`[...document.querySelectorAll("#clients li")].map(c => c.textContent.split(" ")[0]).join()`:                    "docker,podman,containerd",
		`document.querySelector("#clients li:nth-child(2)").textContent.includes(" in 1 layer and unpacks ")`:           "true",
		`document.querySelector("#why summary").textContent`:                                                            "What podman or containerd downloads, and why",
	} {
		if got := p.Text(expression); got != want {
			t.Errorf("%s is %q, want %q", expression, got, want)
		}
	}
}

// Each step of a series can be chosen, with the mouse, the keyboard or the address. The directories
// of all layers can be opened, and each file shows whether it changed.
func TestSeriesPageInABrowser(t *testing.T) {
	clients.Need(t, "chromium")
	dir := t.TempDir()
	layout, name := "oci:"+filepath.Join(dir, "layout"), filepath.Join(dir, "page.html")
	args := []string{"reuse", "-q", "--html", name}
	for i, size := range []string{"40000", "40001", "40001", "40002"} {
		root := mkroot.Make(t, "file /opt/a/lib/f size="+size+"\nfile /opt/a/lib/g size=50000\nfile /opt/b/f size=90000\nfile /usr/lib/big size=3000000\nfile /usr/bin/x size=10\n")
		ref := fmt.Sprintf("%s:v%d", layout, i+1)
		cmd := exec.Command("chunkah", "build", "-q", "--rootfs", root, "--max", "3", "--compress", "gzip", "-o", ref)
		if i > 0 {
			cmd.Args = append(cmd.Args, "--previous", fmt.Sprintf("%s:v%d", layout, i))
		}
		clients.Run(t, cmd)
		args = append(args, ref)
	}
	clients.Run(t, exec.Command("chunkah", args...))
	p := browser.Open(t, "file://"+name)
	want := func(expression, want string) {
		t.Helper()
		if got := p.Text(expression); got != want {
			t.Errorf("%s is %q, want %q", expression, got, want)
		}
	}
	const pressed = `document.querySelector("#steps [aria-pressed=true] .label").textContent`
	want(`[...document.querySelectorAll("#steps .label")].map(l => l.textContent).join()`, "v2,v3,v4")
	want(pressed, "v4")
	last := p.Text(`document.getElementById("answer").textContent`)
	p.Press("Tab")
	want(`document.activeElement.querySelector(".label").textContent`, "v4")
	p.Press("ArrowLeft")
	want(pressed, "v3")
	want(`document.activeElement.querySelector(".label").textContent`, "v3")
	want(`document.getElementById("answer").textContent.startsWith("0 bytes of ")`, "true")
	want(`document.querySelectorAll(".cell.missing").length`, "0")
	p.Eval(`{ document.querySelector("#steps button:nth-child(3)").click(); 0 }`, new(int))
	want(pressed, "v4")
	want(`document.getElementById("answer").textContent`, last)
	want(`document.querySelectorAll(".cell.missing").length > 0`, "true")
	p.Go("file://" + name + "#step=1")
	want(pressed, "v2")

	// A layer that several images contain is in the page only once.
	want(`data.layers.length < data.views.reduce((n, v) => n + v.layers.length, 0)`, "true")

	// In the view by directory, directories with one entry are skipped on the way down and up.
	p.Go("file://" + name + "#dir=/")
	const names = `[...document.querySelectorAll(".cell")].map(c => c.getAttribute("aria-label").split(",")[0]).sort().join()`
	want(names, "/opt/,/usr/")
	p.Eval(`{ cells.find(c => c.item.name === "/opt/").button.click(); 0 }`, new(int))
	want(names, "/opt/a/,/opt/b/")
	p.Press("Enter")
	p.Press("Escape")
	want(names, "/opt/a/,/opt/b/")
	p.Eval(`{ cells.find(c => c.item.name === "/opt/a/").button.click(); 0 }`, new(int))
	want(names, "/opt/a/lib/f,/opt/a/lib/g")
	want(`document.querySelector("#trail strong").textContent`, "lib")
	for file, fate := range map[string]string{"f": "downloaded because it changed", "g": "downloaded although unchanged"} {
		p.Eval(fmt.Sprintf(`{ cells.find(c => c.item.label === %q).button.focus(); 0 }`, file), new(int))
		want(`[...document.querySelectorAll("#detail dd")].map(d => d.textContent).includes("`+fate+`")`, "true")
	}
	p.Press("Escape")
	want(names, "/opt/a/,/opt/b/")
	want(label, "/opt/a/")

	// When another colour scheme is chosen by its name, the legend changes too.
	p.Eval(`{ const c = document.getElementById("colour"); c.value = "stability"; c.dispatchEvent(new Event("change")); 0 }`, new(int))
	want(`document.getElementById("legend-title").textContent`, "Chance to stay unchanged for a week:")
	want(`document.getElementById("fault").hidden`, "true")
}

// label evaluates to the name of the cell that has the focus.
const label = "document.activeElement.getAttribute('aria-label').split(',')[0]"

// An image made by another tool contains no stability values, so its map is coloured by layer.
// Wasted bytes are counted.
func TestForeignPageInABrowser(t *testing.T) {
	clients.Need(t, "chromium")
	img := &mkimage.Image{}
	for _, entries := range [][]mkimage.Entry{
		{mkimage.File("usr/big", strings.Repeat("a", 100_000)), mkimage.File("usr/other", strings.Repeat("b", 50_000))},
		{mkimage.File("usr/big", strings.Repeat("c", 90_000))},
	} {
		img.Layers = append(img.Layers, mkimage.Layer{Tar: mkimage.Tar(t, entries...), History: v1.History{CreatedBy: "RUN make install"}})
	}
	name := filepath.Join(t.TempDir(), "page.html")
	clients.Run(t, exec.Command("chunkah", "inspect", "--html", name, "oci:"+img.Layout(t)))
	p := browser.Open(t, "file://"+name)
	for expression, want := range map[string]string{
		`document.getElementById("question").textContent.includes("100.0 kB of them, in 1 file, are wasted")`:     "true",
		`document.getElementById("question").textContent.includes("The efficiency is 58.33%")`:                    "true",
		`[...document.querySelectorAll("#colour option")].map(o => o.value).join()`:                               "layer,waste",
		`document.querySelectorAll(".cell.hue").length`:                                                           "2",
		`new Set([...document.querySelectorAll(".cell.hue")].map(c => getComputedStyle(c).backgroundColor)).size`: "2",
		`document.querySelector(".cell b").textContent.startsWith("RUN make install · ")`:                         "true",
		`document.getElementById("legend-title").textContent`:                                                     "Layers, from the bottom up:",
	} {
		if got := p.Text(expression); got != want {
			t.Errorf("%s is %q, want %q", expression, got, want)
		}
	}
	p.Go("file://" + name + "#colour=waste&dir=/usr")
	p.Until(`document.querySelectorAll(".cell.hidden").length === 1`)
	if got := p.Text(`cells.filter(c => c.button.className === "cell seen").length`); got != "2" {
		t.Errorf("%s cells are seen", got)
	}
}

// A page can show half a million files. It contains only a few elements at any time, and every file
// can be found.
func TestPageOfHalfAMillionFiles(t *testing.T) {
	t.Parallel()
	clients.Need(t, "chromium")
	const files, layers = 500_000, 64
	in := &inspect.Image{Source: "oci:large", Platform: "linux/amd64"}
	for i := range layers {
		l := inspect.Layer{Own: true, Stability: int64(i * 15_000), Bytes: 1 << 20, Layer: image.Layer{Descriptor: v1.Descriptor{Size: 1 << 19, Digest: digest.FromString(fmt.Sprint(i))}}}
		for range 40 {
			number := int32(len(in.Components))
			in.Components = append(in.Components, fmt.Sprintf("rpm/package-%d", number))
			l.Components = append(l.Components, in.Components[number])
			for f := range files / layers / 40 {
				l.Entries = append(l.Entries, inspect.Entry{
					Path: fmt.Sprintf("/usr/lib/python3/site-packages/package%d/module%d.py", number, f), Size: int64(f * 17 % 9000), Component: number,
				})
			}
		}
		in.Layers = append(in.Layers, l)
	}
	name := filepath.Join(t.TempDir(), "page.html")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := page.Inspect(f, in); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil || info.Size() > 25<<20 {
		t.Errorf("the page has %d bytes, %v", info.Size(), err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	p := browser.Open(t, "file://"+name)
	for _, step := range []struct{ address, found string }{
		{"", ""}, {"#layer=5", ""}, {"#layer=5&component=rpm/package-207", ""}, {"#search=package2559/module194.py", "1 found"},
		{"#dir=/usr/lib/python3/site-packages", ""}, {"#dir=/usr/lib/python3/site-packages/package7&colour=layer", ""},
		{"#search=module1.py", "2,560 found, the first 200 are listed"}, {"#search=/usr", "499,200 found, the first 200 are listed"},
	} {
		p.Go("file://" + name + step.address)
		p.Until(fmt.Sprintf(`document.getElementById("found").textContent === %q`, step.found))
		if got := p.Text(`document.getElementById("fault").hidden + " " + (document.querySelectorAll("*").length < 5000)`); got != "true true" {
			t.Errorf("%s: got %s, with %s elements", step.address, got, p.Text(`document.querySelectorAll("*").length`))
		}
	}
	if n := p.Heap(); n > 400<<20 {
		t.Errorf("the page's script takes %d bytes", n)
	} else {
		t.Logf("the page has %d bytes, its script takes %d", info.Size(), n)
	}
}
