package write

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/oci"
)

func header(root string) *format.Header {
	return &format.Header{Version: 1, Stage: format.StagePack, Root: root}
}

func layerRecord(index int64) *format.Layer {
	return &format.Layer{Index: index, Components: []string{fmt.Sprint("c", index)}}
}

func dir(path string) *format.File {
	return &format.File{Path: path, Type: format.TypeDir, Mode: 0o755}
}

func file(path string, size int64) *format.File {
	return &format.File{Path: path, Type: format.TypeFile, Mode: 0o644, Size: size}
}

func with(f *format.File, change func(*format.File)) *format.File {
	change(f)
	return f
}

// Inconsistent records are refused before anything is created.
func TestStreamsRefused(t *testing.T) {
	linked := func(f *format.File) { f.Hardlink = 3 }
	symlink := func(f *format.File) { f.Type, f.Target = format.TypeSymlink, "x" }
	many := []format.Record{header("")}
	for i := range int64(maxLayers + 1) {
		many = append(many, layerRecord(i), dir(fmt.Sprint("/", i)))
	}
	l0, l1, l2 := layerRecord(0), layerRecord(1), layerRecord(2)
	tests := []struct {
		name    string
		records []format.Record
		want    string
	}{
		{"scanned", []format.Record{&format.Header{Version: 1, Stage: format.StageScan}}, "comes from scan: run chunkah-pack before chunkah-write"},
		{"assigned", []format.Record{&format.Header{Version: 1, Stage: format.StageAssign}}, "comes from assign: run chunkah-pack before chunkah-write"},
		{"no stage and no layers", []format.Record{&format.Header{Version: 1}, file("/a", 0)}, `"/a" is not in a layer: run chunkah-pack`},
		{"no layers", []format.Record{header("")}, "no layers"},
		{"501 layers", many, "more than 500 layers"},
		{"empty layer", []format.Record{header(""), l0}, "layer 0: has no files"},
		{"empty layer behind another", []format.Record{header(""), l0, dir("/a"), l1}, "layer 1: has no files"},
		{"no parent", []format.Record{header(""), l0, file("/d/a", 0)}, `layer 0: "/d/a": the layer lacks its parent directory`},
		{
			"parent in another layer", []format.Record{header(""), l0, dir("/d"), l1, file("/d/a", 0)},
			`layer 1: "/d/a": the layer lacks its parent directory`,
		},
		{"parent is a file", []format.Record{header(""), l0, file("/d", 0), file("/d/a", 0)}, `"/d/a": the layer lacks its parent directory`},
		{"file in two layers", []format.Record{header(""), l0, file("/a", 0), l1, file("/a", 0)}, `layer 1: "/a" is in layer 0 too`},
		{"file and directory", []format.Record{header(""), l0, file("/a", 0), l1, dir("/a")}, `layer 1: "/a" is in layer 0 too`},
		{"directory and file", []format.Record{header(""), l0, dir("/a"), l1, file("/a", 0)}, `layer 1: "/a" is in layer 0 too`},
		{"file in two layers of three", []format.Record{header(""), l0, dir("/d"), file("/d/a", 0), l1, dir("/d"), l2, dir("/d"), file("/d/a", 0)}, `layer 2: "/d/a" is in layer 0 too`},
		{"file below a shared directory", []format.Record{header(""), l0, dir("/d"), dir("/d/e"), file("/d/e/a", 0), l1, dir("/d"), dir("/d/e"), file("/d/e/a", 0)}, `layer 1: "/d/e/a" is in layer 0 too`},
		{"directory in two layers and file", []format.Record{header(""), l0, dir("/d"), dir("/d/a"), l1, dir("/d"), dir("/d/a"), l2, dir("/d"), file("/d/a", 0)}, `layer 2: "/d/a" is in layer 1 too`},
		{"symlink and what lies behind it", []format.Record{header(""), l0, with(file("/a", 0), symlink), l1, dir("/a"), file("/a/b", 0)}, `layer 1: "/a" is in layer 0 too`},
		{"file twice in a layer", []format.Record{header(""), l0, dir("/d"), file("/d/a", 0), file("/d/a", 0)}, `layer 0: "/d/a" occurs twice`},
		{"directory twice in a layer", []format.Record{header(""), l0, dir("/d"), dir("/d"), file("/d/a", 0)}, `layer 0: "/d" occurs twice`},
		{"file after its sibling", []format.Record{header(""), l0, file("/a", 0), file("/b", 0), file("/a", 0)}, `layer 0: "/a" comes after "/b"`},
		{
			"directory with two modes",
			[]format.Record{header(""), l0, dir("/a"), l1, with(dir("/a"), func(f *format.File) { f.Mode = 0o700 })},
			`layer 1: directory "/a" has a different mode`,
		},
		{
			"directory with other xattrs",
			[]format.Record{header(""), l0, dir("/a"), l1, with(dir("/a"), func(f *format.File) {
				f.Xattrs = []format.Xattr{{Name: "user.x", Value: []byte("y")}}
			})},
			`layer 1: directory "/a" has a different mode`,
		},
		{
			"inode in two layers", []format.Record{header(""), l0, with(file("/a", 0), linked), l1, with(file("/b", 0), linked)},
			`layer 1: "/b" has a hard link in another layer (layer 0, "/a")`,
		},
		{
			"inode of two sizes", []format.Record{header(""), l0, with(file("/a", 1), linked), with(file("/b", 2), linked)},
			`"/a" and "/b" are hard links to one file`,
		},
		{
			"more bytes than there are", []format.Record{
				header(""), l0, file("/a", format.MaxInt), file("/b", format.MaxInt), l1, file("/c", format.MaxInt),
				file("/d", format.MaxInt), file("/e", format.MaxInt),
			},
			`layer 1: the files up to "/e" have more than 36028797018963968 bytes in total`,
		},
		{"whiteout", []format.Record{header(""), l0, file("/.wh.a", 0)}, `"/.wh.a"`},
		{
			"xattr with =", []format.Record{header(""), l0, with(file("/a", 0), func(f *format.File) { f.Xattrs = []format.Xattr{{Name: "user.a=b"}} })},
			`"/a"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opt := Options{Create: func() (oci.Destination, error) {
				t.Error("a destination was created")
				return nil, errors.New("a destination was created")
			}}
			fails(t, opt, tt.records, tt.want)
		})
	}
}

// truncated is a stream whose end is missing.
type truncated struct{ source }

func (s *truncated) Next() (format.Record, error) {
	if len(s.source) == 0 {
		return nil, format.ErrTruncated
	}
	return s.source.Next()
}

// A truncated stream never makes an image.
func TestTruncatedStream(t *testing.T) {
	stream := packed(t, plant(t, map[string]string{"a/x": "1", "b/y": "2"}))
	for n := range len(stream) + 1 {
		for _, output := range []string{"out", "layout/"} {
			dir := t.TempDir()
			in := &truncated{stream[:n:n]}
			if _, err := complete(context.Background(), in, to(filepath.Join(dir, output))); !errors.Is(err, format.ErrTruncated) {
				t.Errorf("after %d records: %v", n, err)
			}
			empty(t, dir)
		}
	}
}

// If a stream lists a path as a regular file but the path is something else, Run fails soon, and
// nothing outside the root is read.
func TestHostileStream(t *testing.T) {
	root := plant(t, map[string]string{
		"dir/inside": "x", "file": "file", "link": "-> /etc/passwd", "up": "-> ..", "away": "-> /etc",
	})
	outside := filepath.Join(filepath.Dir(root), "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		records []format.Record
		want    string
	}{
		{"fifo", []format.Record{file("/fifo", 0)}, `"/fifo"`},
		{"directory", []format.Record{file("/dir", 0)}, `"/dir"`},
		{"symlink", []format.Record{file("/link", 0)}, `"/link"`},
		{"below a symlink out", []format.Record{dir("/up"), file("/up/outside", 6)}, `"/up/outside"`},
		{"below an absolute symlink", []format.Record{dir("/away"), file("/away/passwd", 6)}, `"/away/passwd"`},
		{"below a file", []format.Record{dir("/file"), file("/file/x", 6)}, `"/file/x"`},
		{"missing", []format.Record{file("/missing", 0)}, `"/missing"`},
		{"missing directory", []format.Record{dir("/no"), file("/no/x", 0)}, `"/no/x"`},
		{"dots", []format.Record{file("/../outside", 6)}, `"/../outside"`},
		{"of unknown size", []format.Record{file("/fifo", format.SizeUnknown)}, `"/fifo"`},
		{"smaller", []format.Record{file("/dir", 0), file("/file", 3)}, `"/dir"`},
		{"larger", []format.Record{file("/file", 1<<40)}, `"/file": got 4 bytes, expected 1099511627776`},
	}
	if os.Geteuid() == 0 {
		if err := unix.Mknod(filepath.Join(root, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))); err == nil {
			tests = append(tests, tests[0])
			last := &tests[len(tests)-1]
			last.name, last.records, last.want = "device", []format.Record{file("/null", 0)}, `"/null"`
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				stream := append([]format.Record{header(root), layerRecord(0)}, tt.records...)
				fails(t, to(filepath.Join(t.TempDir(), "out")), stream, tt.want)
			}()
			select {
			case <-done:
			case <-time.After(time.Minute):
				t.Fatal("it hangs")
			}
		})
	}
}

func TestNoRoot(t *testing.T) {
	stream := []format.Record{header(""), layerRecord(0), file("/a", 0)}
	fails(t, to(filepath.Join(t.TempDir(), "out")), stream, `reading "/a": the stream has no root directory`)
	stream[0] = header("/no/such/root")
	fails(t, to(filepath.Join(t.TempDir(), "out")), stream, `"/no/such/root"`)
}

// A stream of directories and links needs no root.
func TestNothingToRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	link := &format.File{Path: "/l", Type: format.TypeSymlink, Target: "d"}
	report := run(t, to(name), []format.Record{header(""), layerRecord(0), dir("/d"), link})
	readImage(t, name)
	if report.CreatedFrom != "zero, because there is no regular file" || report.Created.Unix() != 0 {
		t.Errorf("got %+v", report)
	}
}

// An empty directory is probably a mistake and causes an error. An empty image and a stream written
// by hand are valid.
func TestEmptyRoot(t *testing.T) {
	root := openRoot(t, t.TempDir())
	stream := []format.Record{header(""), layerRecord(0), dir("/")}
	for name, tt := range map[string]struct {
		source *Inputs
		header *format.Header
		refuse bool
	}{
		"directory":            {nil, header(root.Path()), true},
		"another directory":    {&Inputs{Root: root}, header("/elsewhere"), true},
		"image":                {&Inputs{Root: root, Config: &oci.Config{}}, header(""), false},
		"nothing to read from": {nil, header(""), false},
	} {
		t.Run(name, func(t *testing.T) {
			opt := to(filepath.Join(t.TempDir(), "out"))
			opt.Inputs = tt.source
			stream[0] = tt.header
			if tt.refuse {
				fails(t, opt, stream, fmt.Sprintf("%q is empty, or all its contents are excluded: mount the root there, or copy the root to this directory", root.Path()))
				return
			}
			run(t, opt, stream)
		})
	}
}

func TestCreated(t *testing.T) {
	config := time.Unix(300, 0).UTC()
	newest := func(sec int64) *format.Header {
		h := header("")
		h.NewestMtime, h.HasNewestMtime = sec, true
		return h
	}
	both := newest(100)
	both.SourceDate, both.HasSourceDate = 200, true
	tests := []struct {
		header *format.Header
		config *time.Time
		want   string
		from   string
	}{
		{both, &config, "1970-01-01T00:03:20Z", "SOURCE_DATE_EPOCH"},
		{newest(100), &config, "1970-01-01T00:05:00Z", "the config"},
		{newest(100), nil, "1970-01-01T00:01:40Z", "the newest regular file"},
		{header(""), nil, "1970-01-01T00:00:07Z", "the newest regular file"},
		{newest(1 << 50), nil, "9999-12-31T23:59:59Z", "the newest regular file"},
		{newest(-1 << 50), nil, "0000-01-01T00:00:00Z", "the newest regular file"},
	}
	root := plant(t, map[string]string{"a": ""})
	for _, tt := range tests {
		name := filepath.Join(t.TempDir(), "out")
		opt := to(name)
		opt.Config = &oci.Config{Created: tt.config}
		h := *tt.header
		h.Root = root
		a := with(file("/a", 0), func(f *format.File) { f.MTime = 7 })
		report := run(t, opt, []format.Record{&h, layerRecord(0), dir("/"), a})
		img := readImage(t, name)
		got, history := img.config.Created.Format(time.RFC3339), img.config.History[0].Created.Format(time.RFC3339)
		if got != tt.want || history != tt.want || report.CreatedFrom != tt.from || !report.Created.Equal(*img.config.Created) {
			t.Errorf("got %s, %s, from %s, want %s from %s", got, history, report.CreatedFrom, tt.want, tt.from)
		}
	}
}

func TestAnnotations(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	l := &format.Layer{Components: []string{"a", "b"}, StabilityPPM: 12_345}
	run(t, to(name), []format.Record{header(""), l, dir("/d")})
	got := readImage(t, name).manifest.Layers[0].Annotations
	if got[annotationComponent] != "a, b" || got[annotationStability] != "0.012345" || len(got) != 2 {
		t.Errorf("got %v", got)
	}
	if s := ppm(1_000_000); s != "1.000000" || !strings.HasPrefix(ppm(0), "0.0") {
		t.Errorf("got %s", s)
	}
}
