package chisel

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/lib/repo/places/placestest"
	"chunkah/lib/rootfs"
	"chunkah/tests/bound"
)

// pack compresses a string with zstd.
func pack(t testing.TB, text string) string {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<16))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// wall returns a manifest that consists of a header and the given lines.
func wall(lines ...string) string {
	header := fmt.Sprintf(`{"jsonwall":"1.0","schema":"1.0","count":%d}`, len(lines)+1)
	return pkgdbtest.Lines(append([]string{header}, lines...)...)
}

func path(path string, slices ...string) string {
	return fmt.Sprintf(`{"kind":"path","path":%q,"mode":"0644","slices":["%s"]}`, path, strings.Join(slices, `","`))
}

func TestManifest(t *testing.T) {
	text := wall(
		`{"kind":"content","slice":"openssl_bins","path":"/usr/bin/openssl"}`,
		`{"kind":"package","name":"openssl","version":"1","sha256":"00","arch":"amd64"}`,
		path("/usr/bin/openssl", "openssl_bins"), path("/usr/lib/libssl.so.3", "libssl3_libs"), path("/usr/lib/libz.so.1", "zlib1g_libs"),
		path("/etc/ssl/", "openssl_config", "libssl3_libs"), path("/etc/ssl/openssl.cnf", "openssl_config", "openssl_bins"),
		path("/etc/both", "openssl_config", "zlib1g_libs"), path("/usr/lib/gone", "zlib1g_libs"), path("/usr/bin/", "openssl_bins"),
		`{"kind":"slice","name":"openssl_bins"}`,
	)
	r := placestest.New(t).File(manifest, pack(t, text)).Mkdir("/etc/ssl")
	loaded, err := Repo{}.Load(t.Context(), placestest.New(t).File(manifest, pack(t, text)).File("/usr/bin/openssl", "").Tree())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range loaded.Packages {
		if want := map[string]string{"openssl": "deb 1 amd64"}[p.Name]; want != "" && want != p.Type+" "+p.Version+" "+p.Arch {
			t.Errorf("got %+v, want %q", p, want)
		}
	}
	for _, path := range []string{"/usr/bin/openssl", "/usr/lib/libssl.so.3", "/usr/lib/libz.so.1", "/etc/both", "/app/x"} {
		r.File(path, "")
	}
	r.File("/etc/ssl/openssl.cnf", "").Symlink("/usr/bin/c_rehash", "openssl")
	r.File(status, "Package: libssl3\nSource: openssl (3.0)\nVersion: 1\nStatus: install ok installed\n\nPackage: zlib1g\nVersion: 1\nStatus: install ok installed\n\n")
	a := r.Assign(Repo{})
	a.WantWarnings()
	a.Want(
		"/usr/bin/openssl", "chisel/openssl",
		"/usr/bin/c_rehash", "chisel/openssl",
		"/usr/lib/libssl.so.3", "chisel/openssl",
		"/usr/lib/libz.so.1", "chisel/zlib1g",
		"/etc/ssl/openssl.cnf", "chisel/openssl",
		"/etc/ssl", "chisel/openssl",
		"/etc/both", "chisel/.shared",
		manifest, "chisel/.database",
		"/app/x", "chunkah/unclaimed/app",
	)
	if got := a.Summaries[0].Packages; got != 3 {
		t.Errorf("%d packages", got)
	}
}

func TestDamage(t *testing.T) {
	good := path("/usr/x", "x_libs")
	r := placestest.New(t).File("/usr/x", "").File(manifest, pack(t, wall(good, "nonsense", path("/usr/x", ".._y"), `{"kind":"package"}`)))
	a := r.Assign(Repo{})
	a.WantWarnings(`line 3: "nonsense" is not an object`, `line 4: path "/usr/x": ".." is not a name`, "line 5: package: no name")
	a.Want("/usr/x", "chisel/x")

	whole := wall(good, good)
	for text, want := range map[string]string{
		pack(t, wall()):                         "contains no package",
		pack(t, good+"\n"):                      "is not the header",
		pack(t, whole[:len(whole)-len(good)-1]): "line 2: the header specifies 3 lines",
		pack(t, whole)[:40]:                     "unexpected EOF",
		whole:                                   "magic number",
	} {
		r := placestest.New(t).File(manifest, text)
		if _, err := (Repo{}).Load(t.Context(), r.Tree()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), manifest) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if r, err := (Repo{}).Load(t.Context(), placestest.New(t).Mkdir("/var/lib/chisel").Tree()); r != nil || err != nil {
		t.Errorf("got %v, %v", r, err)
	}
}

// FuzzManifest reads a manifest with a small tree.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(wall(path("/usr/x", "a_b"), path("/usr/", "a_b", "c_d"))), true)
	f.Add([]byte(pack(f, wall(path("/usr/x", "a_b")))), false)
	dir := f.TempDir()
	name := filepath.Join(dir, manifest)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		f.Fatal(err)
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte, packed bool) {
		text := string(raw)
		if packed {
			text = pack(t, text)
		}
		bound.Input(t, len(raw))
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		tree := assign.NewTree(root, []*format.File{
			{Path: "/", Type: format.TypeDir}, {Path: "/usr", Type: format.TypeDir}, {Path: "/usr/x", Type: format.TypeFile},
			{Path: "/usr/y", Type: format.TypeSymlink, Target: "x"},
		})
		if r, err := (Repo{}).Load(t.Context(), tree); err == nil && r != nil {
			pkgdbtest.Sound(t, tree, r)
		}
	})
}
