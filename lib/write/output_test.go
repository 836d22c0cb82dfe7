package write

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"chunkah/format"
	"chunkah/lib/oci"
)

// An output inside the root is not part of the image. The image, including its times, equals an
// image of the root without the output.
func TestOutputInRoot(t *testing.T) {
	files := map[string]string{"a/x": "x", "out/y": "y", "out/z": "zz"}
	tests := []struct{ name, output, earlier string }{
		{"archive", "out/image", "old"},
		{"archive alone", "images/image", "old"},
		{"archive in the root", "image", "old"},
		{"layout", "out/layout/", ""},
		{"layout alone", "images/layout/", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := plant(t, files)
			dir := filepath.Dir(filepath.Join(root, strings.TrimSuffix(tt.output, "/")))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			age(t, root)
			want := wantListing(t, root)
			name := filepath.Join(root, tt.output)
			if strings.HasSuffix(tt.output, "/") {
				name += "/"
				run(t, to(name), []format.Record{header(""), layerRecord(0), dirRecord("/old")})
			} else if err := os.WriteFile(name, []byte(tt.earlier), 0o644); err != nil {
				t.Fatal(err)
			}
			report := run(t, to(name), packed(t, root))
			if !slices.Equal(report.LeftOut, []string{"/" + strings.TrimSuffix(tt.output, "/")}) {
				t.Errorf("left out %q", report.LeftOut)
			}
			img := readImage(t, strings.TrimSuffix(name, "/"))
			if got := img.listing(); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			for _, headers := range img.layers {
				for _, h := range headers {
					if h.ModTime.Unix() > 2000 {
						t.Errorf("%q has the output's time, %v", h.Name, h.ModTime)
					}
				}
			}
			if report.Created.Unix() > 2000 {
				t.Errorf("created %v", report.Created)
			}
		})
	}
}

func dirRecord(path string) *format.File { return dir(path) }

// age sets old times for everything in a tree, so that new files can be recognised.
func age(t *testing.T, root string) {
	t.Helper()
	for _, rec := range records(t, root)[1:] {
		if f := rec.(*format.File); f.Type != format.TypeSymlink {
			if err := os.Chtimes(filepath.Join(root, f.Path), time.Time{}, time.Unix(2000, 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Standard output can be a file in the root that the shell created before the scan. Here the file
// has two names.
func TestRedirectedOutput(t *testing.T) {
	root := plant(t, map[string]string{"a/x": "x", "b/out": "", "b/y": "y"})
	if err := os.Link(filepath.Join(root, "b/out"), filepath.Join(root, "b/other")); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(root, "b/out"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	opt := Options{Create: func() (oci.Destination, error) { return oci.NewArchive(f), nil }}
	report := run(t, opt, packed(t, root))
	if !slices.Equal(report.LeftOut, []string{"/b/other", "/b/out"}) {
		t.Errorf("left out %q", report.LeftOut)
	}
	img := readImage(t, filepath.Join(root, "b/out"))
	var all []string
	for _, l := range img.layers {
		all = append(all, names(l)...)
	}
	slices.Sort(all)
	if want := []string{"./", "./", "a/", "a/x", "b/", "b/y"}; !slices.Equal(all, want) {
		t.Errorf("got %q, want %q", all, want)
	}
}

// A different file that has the same name as the output stays in the image.
func TestSameName(t *testing.T) {
	root := plant(t, map[string]string{"a/out": "x", "b/out/y": "y"})
	name := filepath.Join(t.TempDir(), "out")
	opt := to(name)
	opt.OutputNames = []string{"y", "missing"}
	want := wantListing(t, root)
	stream := packed(t, root)
	report := run(t, opt, stream)
	if got := readImage(t, name).listing(); got != want || report.LeftOut != nil {
		t.Errorf("left out %q of\n%s", report.LeftOut, want)
	}
	// A path that does not exist in the root is not treated as the output either.
	run(t, opt, append(slices.Clone(stream), &format.Layer{Index: 2}, dir("/missing")))
}

func TestNothingButTheOutput(t *testing.T) {
	root := plant(t, map[string]string{"out": "old"})
	for _, files := range [][]format.Record{{file("/out", 3)}, {dir("/"), file("/out", 3)}} {
		in := source(slices.Concat([]format.Record{header(root), layerRecord(0)}, files))
		if _, err := complete(context.Background(), &in, to(filepath.Join(root, "out"))); err == nil || !strings.Contains(err.Error(), "only the output") {
			t.Errorf("got %v", err)
		}
		if data, err := os.ReadFile(filepath.Join(root, "out")); err != nil || !bytes.Equal(data, []byte("old")) {
			t.Errorf("the old one has %d bytes, %v", len(data), err)
		}
	}
}

// otherDevice is a file with the same inode number on another file system.
type otherDevice struct{ os.FileInfo }

func (o otherDevice) Sys() any {
	st := *o.FileInfo.Sys().(*syscall.Stat_t)
	st.Dev++
	return &st
}

// Inode numbers are compared only within one file system.
func TestOutputOnAnotherFileSystem(t *testing.T) {
	dir := plant(t, map[string]string{"image": "x"})
	info, err := os.Lstat(filepath.Join(dir, "image"))
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{root: openRoot(t, dir)}
	for _, test := range []struct {
		output os.FileInfo
		want   bool
	}{{info, true}, {otherDevice{info}, false}} {
		if got, err := w.isOutput(&format.File{Path: "/image"}, []os.FileInfo{test.output}); got != test.want || err != nil {
			t.Errorf("got %v, %v; want %v", got, err, test.want)
		}
	}
}
