package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/image"
	"chunkah/lib/transport"
	mk "chunkah/tests/mkimage"
)

func TestGoodImage(t *testing.T) {
	r := verify(t, parts{})
	if len(r.Faults) > 0 || len(r.Notes) > 0 || r.Images != 1 || r.Layers != 2 || r.Bytes == 0 {
		t.Errorf("got %+v", r)
	}
}

func TestJSON(t *testing.T) {
	for f, want := range map[Fault]string{
		{Where: "index.json", What: `it is "x"`}:                   `{"where":"index.json","what":"it is \"x\""}`,
		{Where: "layer 0", Path: "a\xff", What: "duplicate entry"}: `{"where":"layer 0","path":"a` + "\ufffd" + `","path_raw":"Yf8=","what":"duplicate entry"}`,
	} {
		if got, err := json.Marshal(f); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

const (
	m  = `^manifest sha256:\w+ of index\.json: `
	c  = `^config sha256:\w+ of manifest sha256:\w+ of index\.json: `
	l0 = `^layer 0 \(sha256:\w+\) of manifest sha256:\w+ of index\.json: `
	l1 = `^layer 1 \(sha256:\w+\) of manifest sha256:\w+ of index\.json: `
	m0 = `^manifest 0 \(\S*\) of index\.json: `
)

// Each kind of damage is found and described, and nothing else is reported.
func TestEveryFault(t *testing.T) {
	other := digest.FromString("another").String()
	for _, test := range []struct {
		name string
		p    parts
		want []string
	}{
		// Digests, sizes, diffIDs.
		{"a byte of a layer", parts{files: flip(t, "a/.wh.f", "a/.wh.g")}, []string{l1 + `content has the wrong digest "`}},
		{"a byte of the config", parts{files: flip(t, `"A=1"`, `"A=2"`)}, []string{c + `content has the wrong digest "`}},
		{"a byte of the manifest", parts{files: flip(t, `"k":"v"`, `"k":"w"`)}, []string{m0 + `content has the wrong digest "`}},
		{"a layer's digest", parts{manifest: set(other, "digest", "layers", 0)}, []string{l0 + ".*(no such file|is not in)"}},
		{"a layer's size", parts{manifest: set(5, "size", "layers", 0)}, []string{l0 + "is [0-9]+ bytes, but its descriptor specifies 5"}},
		{"the config's digest", parts{manifest: set(other, "digest", "config")}, []string{c + ".*(no such file|is not in)"}},
		{"the config's size", parts{manifest: set(5, "size", "config")}, []string{c + "is [0-9]+ bytes, but its descriptor specifies 5"}},
		{"the manifest's digest", parts{index: set(other, "digest", "manifests", 0)}, []string{m0 + ".*(no such file|is not in)"}},
		{"the manifest's size", parts{index: set(5, "size", "manifests", 0)}, []string{m0 + "is [0-9]+ bytes, but its descriptor specifies 5"}},
		{"a diffID", parts{config: func(m document) { at(m, "rootfs", "diff_ids").([]any)[1] = other }}, []string{l1 + `the tar has the diffID`}},
		{"a diffID that is invalid", parts{config: func(m document) { at(m, "rootfs", "diff_ids").([]any)[1] = "md5:1" }}, []string{l1 + `diffID "md5:1": `}},
		{"a digest that is invalid", parts{manifest: set("sha256:1", "digest", "layers", 1)}, []string{m + `layers\[1\]: digest "sha256:1": `}},
		{"a size below 0", parts{manifest: set(-1, "size", "config")}, []string{m + `config: digest .* size -1 is negative`}},
		{"embedded data of another layer", parts{manifest: set("e30=", "data", "layers", 0)}, []string{m + `layers\[0\]: digest "sha256:\w+": the embedded data has the digest "sha256:44136fa3`}},
		{"embedded data that is invalid", parts{manifest: set("~", "data", "config")}, []string{m + `illegal base64 data`}},

		// Schema.
		{"layers are null", parts{manifest: set(nil, "layers")}, []string{m + `manifest\.layers is null: expected an array`, c + "0 layers in the manifest, but 2 diff_ids", c + "0 layers in the manifest, but 2 in the config's history"}},
		{"an annotation is a number", parts{manifest: set(1, "k", "annotations")}, []string{m + `manifest\.annotations is not an object of strings`}},
		{"no config", parts{manifest: without("config")}, []string{m + `manifest\.config is missing`, m + `config: digest ""`}},
		{"no layer media type", parts{manifest: without("mediaType", "layers", 1)}, []string{m + `manifest\.layers\[1\]\.mediaType is missing`, l1 + `has the unknown media type ""`}},
		{"a foreign media type", parts{manifest: set("text/plain", "mediaType", "layers", 1)}, []string{l1 + `has the unknown media type "text/plain"`}},
		{"no schema version", parts{manifest: without("schemaVersion")}, []string{m + `manifest\.schemaVersion is missing`}},
		{"another schema version", parts{manifest: set(3, "schemaVersion")}, []string{m + `schemaVersion is 3: expected 2`}},
		{"another media type than listed", parts{index: set("application/vnd.oci.image.index.v1+json", "mediaType", "manifests", 0)}, []string{m + `the manifest has the media type`}},
		{"the index's manifests are null", parts{index: set(nil, "manifests")}, []string{`^index\.json: index\.manifests is null`}},
		{"no media type in the index", parts{index: without("mediaType", "manifests", 0)}, []string{`^index\.json: index\.manifests\[0\]\.mediaType is missing`}},
		{"a platform without os", parts{index: without("os", "manifests", 0, "platform")}, []string{`^index\.json: index\.manifests\[0\]\.platform\.os is missing`}},
		{"no architecture", parts{config: without("architecture")}, []string{c + `config\.architecture is missing`}},
		{"no rootfs", parts{config: without("rootfs")}, []string{c + `config\.rootfs is missing`, c + "2 layers in the manifest, but 0 diff_ids"}},
		{"diff_ids are null", parts{config: set(nil, "diff_ids", "rootfs")}, []string{c + "2 layers in the manifest, but 0 diff_ids"}},
		{"another rootfs type", parts{config: set("files", "type", "rootfs")}, []string{c + `config\.rootfs\.type is "files"`}},
		{"a time that is invalid", parts{config: set("yesterday", "created")}, []string{c + `config\.created is "yesterday"`}},
		{"Env is a string", parts{config: set("A=1", "Env", "config")}, []string{c + `config\.config: key "Env" is`}},
		{"much of a config", parts{config: func(m document) {
			m["author"], m["created"] = 5, "yesterday"
			in := at(m, "config").(document)
			in["Cmd"], in["Env"], in["workingdir"] = "sh", "A=1", "/"
		}}, []string{
			c + `config\.author is not a string`, c + `config\.config: key "Cmd" is "sh"`, c + `config\.config: key "Env" is "A=1"`,
			c + `config\.config: unknown key "workingdir"`, c + `config\.created is "yesterday"`,
		}},
		{"Env without values", parts{config: set([]any{"A=1", "B", "=C", "D="}, "Env", "config")}, []string{c + `config\.config\.Env\[2\] is "=C"`}},
		{"invalid urls", parts{manifest: func(m document) {
			at(m, "config").(document)["urls"] = []any{"https://registry.example/a%20b", "registry.example/a"}
			at(m, "layers", 1).(document)["urls"] = []any{"https://registry.example/a b", "https://registry.example/%zz"}
		}, index: set([]any{"https://[::1"}, "urls", "manifests", 0)}, []string{
			`^index\.json: manifests\[0\]: "https://\[::1" in urls is not a URI`, m + `config: "registry.example/a" in urls is not a URI`,
			m + `layers\[1\]: "https://registry.example/a b" in urls is not a URI.*"https://registry.example/%zz" in urls`,
		}},
		{"JSON is cut off", parts{files: func(files map[string][]byte) { files["index.json"] = []byte(`{"manifests":[`) }}, []string{`^index\.json: line 1: unexpected end`}},
		{"a duplicate key", parts{files: func(files map[string][]byte) {
			files["index.json"] = bytes.Replace(files["index.json"], []byte(`{"manifests"`), []byte(`{"schemaVersion":2,"manifests"`), 1)
		}}, []string{`^index\.json: key "schemaVersion" occurs twice`}},

		// Documents that contradict each other.
		{"a diffID too few", parts{config: func(m document) { at(m, "rootfs").(document)["diff_ids"] = at(m, "rootfs", "diff_ids").([]any)[:1] }}, []string{c + "2 layers in the manifest, but 1 diff_ids"}},
		{"history too short", parts{config: func(m document) { m["history"] = m["history"].([]any)[:1] }}, []string{c + "2 layers in the manifest, but 1 in the config's history"}},
		{"an empty layer that is invalid", parts{config: set(true, "empty_layer", "history", 0)}, []string{c + "2 layers in the manifest, but 1 in the config's history"}},
		{"another architecture", parts{index: set("arm64", "architecture", "manifests", 0, "platform")}, []string{c + `architecture is "amd64", but the index specifies "arm64"`}},
		{"the same manifest for another architecture", parts{index: again(func(d document) { d["platform"] = document{"os": "linux", "architecture": "arm64"} })}, []string{c + `architecture is "amd64", but the index specifies "arm64"`}},
		{"the same manifest with another size", parts{index: again(func(d document) { d["size"] = 5 })}, []string{`^manifest 1 \(\S*\) of index\.json: is [0-9]+ bytes, but its descriptor specifies 5`}},
		{"a fault of a manifest that is listed twice", parts{index: again(func(d document) { d["platform"] = document{"os": "linux", "architecture": "arm64"} }),
			tars: [][]byte{own(t, mk.File("a", "1"), mk.File("a", "2"))}}, []string{l0 + `"a": duplicate entry`, c + `architecture is "amd64", but the index specifies "arm64"`}},
		{"another os", parts{index: set("freebsd", "os", "manifests", 0, "platform")}, []string{c + `os is "linux", but the index specifies "freebsd"`}},

		// Tars.
		{"a name twice", parts{tars: [][]byte{own(t, mk.File("a", "1"), mk.File("a", "2"))}}, []string{l0 + `"a": duplicate entry`}},
		{"a name twice, spelled differently", parts{tars: [][]byte{own(t, mk.File("a", "1"), mk.File("./a", "2"))}}, []string{l0 + `"\./a": duplicate entry`}},
		{"no directory", parts{tars: [][]byte{own(t, mk.File("a/b", ""))}}, []string{l0 + `"a/b": its directory has no earlier entry`}},
		{"out of order", parts{tars: [][]byte{own(t, mk.File("b", ""), mk.File("a", ""))}}, []string{l0 + `"a": entry comes after "/b"`}},
		{"directory behind", parts{tars: [][]byte{own(t, mk.File("a/b", ""), mk.Dir("a"))}}, []string{l0 + `"a/b": its directory has no earlier entry`, l0 + `"a": entry comes after "/a/b"`}},
		{"a name outside the root", parts{tars: [][]byte{own(t, mk.File("../x", ""), mk.File("y", ""))}}, []string{l0 + `"\.\./x": leads out of the root`}},
		{"a link to nothing", parts{tars: [][]byte{own(t, mk.File("a", ""), mk.Link("b", "none"))}}, []string{l0 + `"b": is a hard link to "none", which does not exist`}},
		{"a file in a file", parts{tars: [][]byte{own(t, mk.File("a", ""), mk.File("a/b", ""))}}, []string{l0 + `"a/b": `}},
		{"a tar that is cut off", parts{tars: [][]byte{own(t, mk.File("a", strings.Repeat("x", 2000)))[:1000]}}, []string{l0 + `entry "a": unexpected EOF`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := verify(t, test.p)
			for i, f := range r.Faults {
				if i >= len(test.want) || !regexp.MustCompile(test.want[i]).MatchString(f.String()) {
					t.Errorf("fault %d is %s", i, f)
				}
			}
			if len(r.Faults) != len(test.want) {
				t.Errorf("%d faults, want %d: %q", len(r.Faults), len(test.want), test.want)
			}
		})
	}
}

// A change of any byte of any blob is found.
func TestEveryByte(t *testing.T) {
	files := put(t, parts{})
	dir := files.WriteFolder(t)
	tried := 0
	for _, f := range files {
		if !strings.HasPrefix(f.Name, "blobs/") {
			continue
		}
		for i := 0; i < len(f.Data); i += 97 {
			data := bytes.Clone(f.Data)
			data[i] ^= 0x20
			if err := os.WriteFile(filepath.Join(dir, f.Name), data, 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := Run(context.Background(), image.Location{Transport: transport.Layout, Path: dir}, Options{})
			if err != nil || len(r.Faults) == 0 {
				t.Errorf("byte %d of %s: %+v, %v", i, f.Name, r, err)
			}
			tried++
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if tried < 50 {
		t.Errorf("%d bytes were tried", tried)
	}
}

// Faults do not hide each other.
func TestAllFaultsAtOnce(t *testing.T) {
	other := digest.FromString("another").String()
	r := verify(t, parts{
		tars: [][]byte{own(t, mk.File("b", ""), mk.File("a", ""), mk.File("a", "")), own(t, mk.File("../x", ""), mk.Link("y", "none"))},
		config: func(m document) {
			at(m, "rootfs", "diff_ids").([]any)[0] = other
			m["history"] = append(m["history"].([]any), m["history"].([]any)[0])
			delete(m, "os")
		},
		manifest: func(m document) {
			delete(m, "schemaVersion")
			at(m, "config").(document)["size"] = 7
			at(m, "layers", 0).(document)["size"] = 8
			at(m, "layers", 1).(document)["size"] = 1e9
		},
		index: func(m document) {
			delete(at(m, "manifests", 0, "platform").(document), "os")
			at(m, "manifests", 0).(document)["size"] = 9
		},
	})
	var lines []string
	for _, f := range r.Faults {
		lines = append(lines, f.String())
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{
		"index.manifests[0].platform.os is missing", "manifest.schemaVersion is missing", "but its descriptor specifies 7", "but its descriptor specifies 9",
		"but its descriptor specifies 8", "but its descriptor specifies 1000000000", "the tar has the diffID", "config.os is missing", "but 3 in the config's history",
		`"../x": leads out of the root with ".."`, `"y": is a hard link to "none"`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no fault %q in\n%s", want, all)
		}
	}
}

// Layers of other tools can be in any order.
func TestForeignOrder(t *testing.T) {
	r := verify(t, parts{
		tars: [][]byte{own(t, mk.File("b", ""), mk.File("a/x", ""), mk.File("a/y", ""), mk.Dir("a"))},
		config: func(m document) {
			at(m, "history", 0).(document)["created_by"] = "RUN something"
		},
	})
	if len(r.Faults) > 0 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0].String(), `"a/x": its directory has no earlier entry (the same for 1 other`) {
		t.Errorf("got %+v", r)
	}
}

// The media type that Docker used for configs until 2016 is a note.
func TestOldConfigType(t *testing.T) {
	for _, mediaType := range []string{"application/octet-stream", "application/json", "text/html", "text/plain"} {
		r := verify(t, parts{manifest: set(mediaType, "mediaType", "config")})
		if len(r.Faults) > 0 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0].String(), mediaType) || r.Layers != 2 {
			t.Errorf("%s: got %+v", mediaType, r)
		}
	}
	r := verify(t, parts{manifest: set("application/vnd.example", "mediaType", "config")})
	if len(r.Faults) != 1 || !strings.Contains(r.Faults[0].What, "contains no image") || len(r.Notes) != 1 || !strings.Contains(r.Notes[0].What, "artifact") {
		t.Errorf("got %+v", r)
	}
}

// Data after the end of a tar is a note, and so is anything that runtimes treat differently.
func TestNotesOfTrees(t *testing.T) {
	r := verify(t, parts{tars: [][]byte{append(own(t, mk.Symlink("a", "b")), make([]byte, 511)...), append(own(t, mk.File("a/x", "")), 'x')}})
	if len(r.Faults) != 1 || len(r.Notes) != 2 || !strings.Contains(r.Notes[0].String(), "1 bytes after the end of its tar") || !strings.Contains(r.Notes[1].String(), "symlink") {
		t.Errorf("got %+v", r)
	}
}

// Compressed layers are verified in the same way as uncompressed layers, even after a fault.
func TestPacked(t *testing.T) {
	for _, packing := range []string{mk.Gzip, mk.Zstd} {
		tars := goodTars(t)
		typed := func(m document) {
			for i := range tars {
				at(m, "layers", i).(document)["mediaType"] = "application/vnd.oci.image.layer.v1.tar" + packing
			}
		}
		var blobs [][]byte
		for _, tar := range tars {
			blobs = append(blobs, mk.Layer{Tar: tar, Packing: packing}.Blob(t))
		}
		if r := verify(t, parts{tars: tars, blobs: blobs, manifest: typed}); len(r.Faults) > 0 {
			t.Errorf("%s: %v", packing, r.Faults)
		}
		short := [][]byte{blobs[0][:len(blobs[0])-5], blobs[1]}
		if r := verify(t, parts{tars: tars, blobs: short, manifest: typed}); len(r.Faults) != 1 || !strings.Contains(r.Faults[0].What, "decompressing: ") {
			t.Errorf("%s, cut off: %v", packing, r.Faults)
		}
	}
}

func TestIndexOfSeveral(t *testing.T) {
	blobs := mk.Blobs{}
	amd := (&mk.Image{Layers: []mk.Layer{{Tar: own(t, mk.File("a", "amd"))}}}).Manifest(t, blobs)
	arm := (&mk.Image{Arch: "arm64", Layers: []mk.Layer{{Tar: own(t, mk.File("a", "arm"))}}}).Manifest(t, blobs)
	nested := blobs.Add("application/vnd.oci.image.index.v1+json", mk.Index(amd, arm))
	dir := mk.LayoutFiles(blobs, nested).WriteFolder(t)
	r, err := Run(context.Background(), image.Location{Transport: transport.Layout, Path: dir}, Options{})
	if err != nil || len(r.Faults) > 0 || r.Images != 2 {
		t.Errorf("got %+v, %v", r, err)
	}
	arm.Platform.Architecture = "riscv64"
	nested = blobs.Add("application/vnd.oci.image.index.v1+json", mk.Index(amd, arm))
	dir = mk.LayoutFiles(blobs, nested).WriteFolder(t)
	r, err = Run(context.Background(), image.Location{Transport: transport.Layout, Path: dir}, Options{})
	if err != nil || len(r.Faults) != 1 || !strings.Contains(r.Faults[0].String(), ` of index sha256:`) {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestDockerArchive(t *testing.T) {
	img := &mk.Image{Layers: []mk.Layer{{Tar: own(t, mk.File("a", "a"))}, {Tar: own(t, mk.File("b", "bbb"))}}, Name: "app:1"}
	files := mk.DockerFiles(t, img)
	src := image.Location{Transport: transport.DockerArchive, Path: files.WriteArchive(t)}
	if r, err := Run(context.Background(), src, Options{}); err != nil || len(r.Faults) > 0 || r.Layers != 2 {
		t.Errorf("got %+v, %v", r, err)
	}
	for i := range files {
		files[i].Data = bytes.Replace(files[i].Data, []byte("bbb"), []byte("bbc"), 1)
	}
	src.Path = files.WriteArchive(t)
	if r, err := Run(context.Background(), src, Options{}); err != nil || len(r.Faults) != 1 || !strings.Contains(r.Faults[0].String(), "layer 1 (") {
		t.Errorf("got %+v, %v", r, err)
	}
}

// Inconsistent files of a docker archive are reported as faults, not as an error.
func TestDamagedDockerArchive(t *testing.T) {
	img := &mk.Image{Layers: []mk.Layer{{Tar: own(t, mk.File("a", "a"))}}}
	for name, test := range map[string]struct{ from, to, want string }{
		"the config":     {`"amd64"`, `"arm64"`, `manifest.json: reading config "`},
		"no such layer":  {`/layer.tar"`, `/lager.tar"`, "manifest.json: layer 0, "},
		"a layer less":   {`/layer.tar"]`, `/layer.tar","x"]`, "manifest.json: 2 layers in manifest.json, 1 diff_ids"},
		"no such config": {`"Config":"`, `"Config":"0`, ""},
	} {
		files := mk.DockerFiles(t, img)
		for i := range files {
			files[i].Data = bytes.Replace(files[i].Data, []byte(test.from), []byte(test.to), 1)
		}
		r, err := Run(context.Background(), image.Location{Transport: transport.DockerArchive, Path: files.WriteArchive(t)}, Options{})
		switch {
		case test.want == "":
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		case err != nil || len(r.Faults) != 1 || !strings.HasPrefix(r.Faults[0].String(), test.want):
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// A missing image is an error, not a fault.
func TestTrouble(t *testing.T) {
	dir := put(t, parts{}).WriteFolder(t)
	for _, src := range []image.Location{
		{Transport: transport.Layout, Path: dir, Ref: "no"}, {Transport: transport.Layout, Path: t.TempDir()},
		{Transport: transport.Archive, Path: dir + "/none"}, {Transport: transport.Directory, Path: dir},
	} {
		if _, err := Run(context.Background(), src, Options{}); err == nil || !strings.Contains(err.Error(), src.String()) {
			t.Errorf("%s: the error is %v", src, err)
		}
	}
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(stopped)
	if _, err := Run(ctx, image.Location{Transport: transport.Layout, Path: dir}, Options{}); !errors.Is(err, stopped) {
		t.Errorf("the error of a stopped run is %v", err)
	}
}

// Whole is called for images without faults, with the checksums of their files.
func TestWhole(t *testing.T) {
	for name, p := range map[string]parts{"good": {}, "bad": {config: without("os")}} {
		calls := 0
		opt := Options{Whole: func(_ context.Context, img *image.Image, tree *image.Tree) error {
			calls++
			if _, err := tree.Sum("/b"); err != nil {
				t.Error(err)
			}
			if _, err := tree.Sum("/a/f"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("checksum of a deleted file: %v", err)
			}
			if img.Annotations["k"] != "v" || len(img.Config.Data) == 0 {
				t.Errorf("the image is %+v", img)
			}
			return nil
		}}
		_, err := Run(context.Background(), image.Location{Transport: transport.Layout, Path: put(t, p).WriteFolder(t)}, opt)
		if want := map[string]int{"good": 1}[name]; err != nil || calls != want {
			t.Errorf("%s: %d calls, %v", name, calls, err)
		}
	}
}
