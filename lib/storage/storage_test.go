//go:build !cgo || exclude_graphdriver_btrfs

package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"chunkah/lib/rootfs"
	"chunkah/lib/tarsplit"
	"chunkah/tests/bound"
)

func TestParseRef(t *testing.T) {
	for ref, want := range map[string]struct {
		store Store
		name  string
	}{
		"app:1":                               {Store{}, "app:1"},
		"[/s]app":                             {Store{Root: "/s"}, "app"},
		"[vfs@/s+/run]localhost/app@sha256:0": {Store{Driver: "vfs", Root: "/s", Run: "/run"}, "localhost/app@sha256:0"},
		"[overlay@/s+/run:overlay.x=y]app":    {Store{Driver: "overlay", Root: "/s", Run: "/run", Options: "overlay.x=y"}, "app"},
	} {
		if store, name, err := ParseRef(ref); err != nil || store != want.store || name != want.name {
			t.Errorf("%q: got %v, %q, %v", ref, store, name, err)
		}
	}
	for ref, want := range map[string]string{
		"": "no image name", "[/s]": "no image name", "[/s": `without "]"`, "[btrfs@/s]app": `driver "btrfs"`, "[s]app": "absolute path", "[vfs@]app": "absolute path",
	} {
		if _, _, err := ParseRef(ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", ref, err)
		}
	}
}

// A name selects the same image as in podman.
func TestFind(t *testing.T) {
	images := []image{
		{ID: "aa11", Digest: "sha256:01", Names: []string{"docker.io/library/app:latest"}},
		{ID: "aa22", Digest: "sha256:02", Names: []string{"localhost/app:latest", "localhost/app:2"}},
		{ID: "bb33", Digest: "sha256:03", Docs: map[string]digest.Digest{"manifest": "sha256:03", "manifest-sha256:04": "sha256:04", "sha256:bb33": "sha256:bb33"}, Names: []string{"quay.example/team/tool:1"}},
		{ID: "bb44", Names: []string{"other.example/team/tool:1"}},
		{ID: "cc55"},
	}
	for name, want := range map[string]string{
		"app": "aa22", "app:latest": "aa22", "localhost/app:2": "aa22", "docker.io/library/app": "aa11", "library/app": "aa11",
		"quay.example/team/tool:1": "bb33", "localhost/app@sha256:02": "aa22", "quay.example/team/tool@sha256:03": "bb33", "quay.example/team/tool@sha256:04": "bb33",
		"cc55": "cc55", "sha256:cc": "cc55",
	} {
		if got, err := find(images, name); err != nil || got.ID != want {
			t.Errorf("%q: got %q, %v, want %q", name, got.ID, err, want)
		}
	}
	for name, want := range map[string]string{
		"tool:1": `matches several images: choose quay.example/team/tool:1 or other.example/team/tool:1`, "aa": "matches several images", "nothing": "no image", "app@sha256:09": "no image", "team/tool@sha256:bb33": "no image", "pp": "no image",
	} {
		_, err := find(images, name)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, fs.ErrNotExist) != (want == "no image") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

// The store is the one that podman's configuration selects.
func TestStoreFind(t *testing.T) {
	store, home := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write(store+"/vfs-images/images.json", "[]")
	write(home+"/conf", "# graphroot = \"/no\"\n[storage]\ngraphroot = '"+store+"' # here\ndriver=\"vfs\"\nrunroot = \"/x\"\n[storage.options]\ngraphroot = \"/no\"\n")
	t.Setenv("CONTAINERS_STORAGE_CONF", home+"/conf")
	if s, err := (Store{}).Find(); err != nil || s != (Store{Driver: "vfs", Root: store, Run: "/x"}) {
		t.Errorf("by a file: %v, %v", s, err)
	}
	if s, err := (Store{Root: store}).Find(); err != nil || s != (Store{Driver: "vfs", Root: store}) {
		t.Errorf("by a path: %v, %v", s, err)
	}
	t.Setenv("STORAGE_DRIVER", "btrfs")
	if _, err := (Store{}).Find(); err == nil || !strings.Contains(err.Error(), `driver "btrfs"`) {
		t.Errorf("another driver: %v", err)
	}
	if _, err := (Store{Root: home}).Find(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no storage: %v", err)
	}
	// A user's own storage, for example under podman unshare.
	t.Setenv("STORAGE_DRIVER", "")
	t.Setenv("CONTAINERS_STORAGE_CONF", "")
	t.Setenv("_CONTAINERS_ROOTLESS_UID", "1000")
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("XDG_DATA_HOME", "")
	write(home+"/.local/share/containers/storage/overlay-images/images.json", "[]")
	want := Store{Driver: "overlay", Root: home + "/.local/share/containers/storage"}
	if s, err := (Store{}).Find(); err != nil || s != want {
		t.Errorf("a user's: %v, %v", s, err)
	}
	write(home+"/.config/containers/storage.conf", "[storage]\ngraphroot = \"$HOME/own\"\n")
	write(home+"/own/overlay-images/images.json", "[]")
	if s, err := (Store{}).Find(); err != nil || s.Root != home+"/own" {
		t.Errorf("a user's by a file: %v, %v", s, err)
	}
}

// Storage that has been tampered with is refused.
func TestHostileStorage(t *testing.T) {
	for name, test := range map[string]struct{ images, layers, want string }{
		"circle":        {`[{"id":"i","names":["localhost/app:1"],"layer":"a"}]`, `[{"id":"a","parent":"b","diff-digest":"sha256:1"},{"id":"b","parent":"a","diff-digest":"sha256:1"}]`, "more than 1000 layers"},
		"path of layer": {`[{"id":"i","names":["localhost/app:1"],"layer":"../x"}]`, `[{"id":"../x","diff-digest":"sha256:1"}]`, `has the ID "../x"`},
		"path of image": {`[{"id":"..","names":["localhost/app:1"],"layer":"a"}]`, `[]`, `the storage lists the invalid image ID ".."`},
		"no layer":      {`[{"id":"i","names":["localhost/app:1"],"layer":"a"}]`, `[]`, `the image's layer "a" is not in`},
		"no digest":     {`[{"id":"i","names":["localhost/app:1"],"layer":"a"}]`, `[{"id":"a"}]`, "has no digest for"},
		"no JSON":       {`{`, `[]`, "reading "},
	} {
		root := t.TempDir()
		for path, text := range map[string]string{"overlay-images/images.json": test.images, "overlay-layers/layers.json": test.layers} {
			path = filepath.Join(root, path)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(Store{Root: root}, "localhost/app:1"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

// layerOf makes a layer in a store from a tar-split and files.
func layerOf(t testing.TB, split []byte, files map[string]string) (*layerTar, error) {
	t.Helper()
	root := t.TempDir()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(split); err != nil {
		t.Fatal(err)
	}
	w.Close()
	write := func(path, text string) {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("overlay-layers/l.tar-split.gz", packed.String())
	write("overlay/l/diff/.keep", "")
	for name, text := range files {
		write("overlay/l/diff/"+name, text)
	}
	if err := os.Symlink("usr/lib", filepath.Join(root, "overlay/l/diff/lib")); err != nil {
		t.Fatal(err)
	}
	return openLayer(Store{Driver: "overlay", Root: root}, layer{ID: "l"})
}

func splitOf(lines ...tarsplit.Line) []byte {
	var out bytes.Buffer
	for _, l := range lines {
		_ = json.NewEncoder(&out).Encode(l)
	}
	return out.Bytes()
}

// A tar is rebuilt from its tar-split and files. Contents can then be read at their offsets.
func TestLayerTar(t *testing.T) {
	in, err := layerOf(t, splitOf(
		tarsplit.Line{Type: tarsplit.Segment, Payload: []byte("<head>")}, tarsplit.Line{Type: tarsplit.File, Name: "./a", Size: 4, Payload: []byte{1}},
		tarsplit.Line{Type: tarsplit.Segment, Payload: []byte("<pad>")}, tarsplit.Line{Type: tarsplit.File, Name: "d/"},
		tarsplit.Line{Type: tarsplit.File, Name: "lib/b", Size: 2}, tarsplit.Line{Type: tarsplit.File, NameRaw: []byte("c\xff"), Size: 1},
	), map[string]string{"a": "text", "usr/lib/b": "bb", "c\xff": "c"})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if want := "<head>text<pad>bbc"; err != nil || string(data) != want {
		t.Fatalf("got %q, %v, want %q", data, err, want)
	}
	for off, want := range map[int64]string{6: "text", 8: "xt", 15: "bb", 17: "c"} {
		got := make([]byte, len(want))
		if n, err := in.ReadAt(got, off); n != len(want) || string(got) != want || err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("at %d: %q, %v", off, got[:n], err)
		}
	}
	if _, err := in.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("a header was read at its place")
	}
}

func TestLayerTarFaults(t *testing.T) {
	for name, test := range map[string]struct {
		split []byte
		want  string
	}{
		"missing file": {splitOf(tarsplit.Line{Type: tarsplit.File, Name: "x", Size: 1}), "no such file"},
		"short file":   {splitOf(tarsplit.Line{Type: tarsplit.File, Name: "a", Size: 100}), "unexpected EOF"},
		"leads out":    {splitOf(tarsplit.Line{Type: tarsplit.File, Name: "../../../../etc/passwd", Size: 1}), "no such file"},
		"negative":     {splitOf(tarsplit.Line{Type: tarsplit.File, Name: "a", Size: -1}), "size -1"},
		"no JSON":      {[]byte("{\n"), "reading "},
		"another type": {splitOf(tarsplit.Line{Type: 3}), "type 3"},
	} {
		in, err := layerOf(t, test.split, map[string]string{"a": "text"})
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(in); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %q, %v, want %q", name, data, err, test.want)
		}
		in.Close()
	}
	if _, err := openLayer(Store{Driver: "overlay", Root: t.TempDir()}, layer{ID: "l"}); err == nil || !strings.Contains(err.Error(), "use podman save") {
		t.Errorf("no tar-split: %v", err)
	}
}

// An arbitrary tar-split is refused, or reading at an offset returns the same data as reading the
// whole tar. No file outside of the layer is read.
func FuzzLayerTar(f *testing.F) {
	f.Add(splitOf(tarsplit.Line{Type: tarsplit.Segment, Payload: []byte("head")}, tarsplit.Line{Type: tarsplit.File, Name: "a", Size: 4}, tarsplit.Line{Type: tarsplit.File, Name: "lib/b", Size: 2}))
	f.Add(splitOf(tarsplit.Line{Type: tarsplit.File, Name: "../a", Size: 9}))
	f.Add([]byte(`{"type":1,"name_raw":"YQ==","size":1}`))
	dir := f.TempDir()
	for name, text := range map[string]string{"a": "text", "usr/lib/b": "bb"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, split []byte) {
		bound.Input(t, len(split))
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(split)
		w.Close()
		unpacked, err := gzip.NewReader(&packed)
		if err != nil {
			t.Fatal(err)
		}
		root, err := rootfs.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		none, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		in := newLayerTar(none, unpacked, root)
		defer in.Close()
		data, err := io.ReadAll(in)
		if err != nil {
			return
		}
		for _, e := range in.files {
			got := make([]byte, e.size)
			if n, err := in.ReadAt(got, e.offset); int64(n) != e.size || !bytes.Equal(got, data[e.offset:e.offset+e.size]) {
				t.Errorf("%q at %d: %q, %v", e.path, e.offset, got[:n], err)
			}
		}
	})
}

// An image is written to the same storage from which it is read: a configured storage, a path, or a
// user's own storage.
func TestOptions(t *testing.T) {
	home, system := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_RUNTIME_DIR", home+"/run")
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	conf := filepath.Join(system, "storage.conf")
	if err := os.WriteFile(conf, []byte("[storage]\ndriver = \"vfs\"\ngraphroot = \""+system+"/graph\"\nrunroot = \""+system+"/run\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/overlay-layers/overlay-layers", "/vfs-layers/vfs-layers", "/run"} {
		if err := os.MkdirAll(home+dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		store             Store
		conf              string
		root, run, driver string
	}{
		"a configuration":     {Store{}, conf, system + "/graph", system + "/run", "vfs"},
		"a path":              {Store{Root: "/s"}, conf, "/s", system + "/run", "vfs"},
		"a path with all":     {Store{Root: "/s", Run: "/r", Driver: "overlay"}, conf, "/s", "/r", "overlay"},
		"a store with a past": {Store{Root: home + "/overlay-layers"}, conf, home + "/overlay-layers", system + "/run", "overlay"},
		"another":             {Store{Root: home + "/vfs-layers"}, "", home + "/vfs-layers", home + "/run/containers", "vfs"},
		"a user's":            {Store{}, "", home + "/.local/share/containers/storage", home + "/run/containers", ""},
	} {
		t.Setenv("CONTAINERS_STORAGE_CONF", test.conf)
		t.Setenv("_CONTAINERS_ROOTLESS_UID", "1000")
		opt, err := test.store.options()
		if err != nil || opt.GraphRoot != test.root || opt.RunRoot != test.run || opt.GraphDriverName != test.driver {
			t.Errorf("%s: got %q, %q, %q, %v", name, opt.GraphRoot, opt.RunRoot, opt.GraphDriverName, err)
		}
	}
}

func TestFullName(t *testing.T) {
	for name, want := range map[string]string{
		"app": "localhost/app:latest", "app:1": "localhost/app:1", "team/app": "localhost/team/app:latest", "localhost/app:1": "localhost/app:1",
		"registry.example/app": "registry.example/app:latest", "localhost:5000/app": "localhost:5000/app:latest",
	} {
		if got := fullName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

// Layers are removed from the top, even if several runs have added them.
func TestRemoveLayers(t *testing.T) {
	above := map[string]string{"a": "b", "b": "c", "c": "d", "used": "image"}
	removeLayers([]string{"c", "d", "used", "a", "b"}, func(id string) bool {
		if above[id] != "" {
			return false
		}
		for below, up := range above {
			if up == id {
				delete(above, below)
			}
		}
		return true
	})
	if len(above) != 1 || above["used"] == "" {
		t.Errorf("there is %v", above)
	}
}
