package metrics

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/format"
)

// list is a source and a sink of records.
type list struct{ records []format.Record }

func (l *list) Next() (format.Record, error) {
	if len(l.records) == 0 {
		return nil, io.EOF
	}
	rec := l.records[0]
	l.records = l.records[1:]
	return rec, nil
}

func (l *list) Write(rec format.Record) error {
	l.records = append(l.records, rec)
	return nil
}

func (l *list) Finish() error { return nil }

func pass(t *testing.T, in format.Source, out format.Sink) {
	t.Helper()
	for {
		rec, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Finish(); err != nil {
		t.Fatal(err)
	}
}

func stream() *list {
	return &list{[]format.Record{
		&format.Header{}, &format.Component{Name: "c"},
		&format.File{Path: "/", Type: format.TypeDir},
		&format.File{Path: "/a", Type: format.TypeFile, Size: 10, Hardlink: 1},
		&format.File{Path: "/b", Type: format.TypeFile, Size: 10, Hardlink: 1},
		&format.File{Path: "/c", Type: format.TypeFile, Size: 5},
		&format.File{Path: "/d", Type: format.TypeFile, Size: format.SizeUnknown},
		&format.File{Path: "/l", Type: format.TypeSymlink, Target: "a"},
	}}
}

func read(t *testing.T, name string) document {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return doc
}

func TestDocument(t *testing.T) {
	r := Start("chunkah build")
	scan, write := r.Stage("scan"), r.Stage("write")
	between := &list{}
	pass(t, stream(), scan.Out(between))
	scan.Done()
	if scan.In(nil) != nil {
		t.Error("a nil source became non-nil")
	}
	pass(t, write.In(between), &list{})
	write.Wrote(7, 3, "sha256:01")
	write.Done()
	name := filepath.Join(t.TempDir(), "m.json")
	if err := r.WriteFile(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	doc := read(t, name)
	if doc.Command != "chunkah build" || doc.WallSeconds <= 0 || doc.CPUSeconds <= 0 || doc.PeakMemory < 1<<20 {
		t.Errorf("%+v", doc)
	}
	want := []stageDocument{
		{Name: "scan", Files: 5, BytesOut: 15},
		{Name: "write", Files: 5, BytesIn: 15, BytesOut: 7, BytesReused: 3, Digest: "sha256:01"},
	}
	var wall, cpu float64
	for i, got := range doc.Stages {
		if got.WallSeconds < 0 || got.CPUSeconds < 0 {
			t.Errorf("%+v", got)
		}
		wall, cpu = wall+got.WallSeconds, cpu+got.CPUSeconds
		got.WallSeconds, got.CPUSeconds = 0, 0
		if got != want[i] {
			t.Errorf("got %+v, want %+v", got, want[i])
		}
	}
	if math.Abs(wall-doc.WallSeconds) > 1e-6 || math.Abs(cpu-doc.CPUSeconds) > 1e-6 {
		t.Errorf("the stages took %v and %v s, the run %v and %v s", wall, cpu, doc.WallSeconds, doc.CPUSeconds)
	}
}

// A stage that ends before the previous one has no negative time.
func TestEndsOutOfOrder(t *testing.T) {
	r := Start("x")
	a, b, c := r.Stage("a"), r.Stage("b"), r.Stage("c")
	b.Done()
	a.Done()
	c.Done()
	for _, s := range r.document().Stages {
		if s.WallSeconds < 0 || s.CPUSeconds < 0 {
			t.Errorf("%+v", s)
		}
	}
}

// A nil Run measures nothing.
func TestNone(t *testing.T) {
	var r *Run
	s := r.Stage("scan")
	l := stream()
	if s.In(l) != format.Source(l) || s.Out(l) != format.Sink(l) {
		t.Error("a nil stage counts a stream")
	}
	s.Wrote(1, 1, "")
	s.Done()
}

// The file is either completely replaced or left unchanged, and no other files are left behind.
func TestAtomicWrite(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "m.json")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Start("x").WriteFile(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if doc := read(t, name); doc.Command != "x" {
		t.Errorf("%+v", doc)
	}
	if err := Start("x").WriteFile(t.Context(), filepath.Join(dir, "none", "m.json")); err == nil ||
		!strings.HasPrefix(err.Error(), "writing metrics: ") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := Start("x").WriteFile(t.Context(), dir); err == nil {
		t.Error("a directory was overwritten")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// On a full file system, the old file is kept.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"); err != nil {
		t.Skipf("needs to mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	name := filepath.Join(dir, "m.json")
	if err := os.WriteFile(name, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Start("x").WriteFile(t.Context(), name); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), name) {
		t.Errorf("%v", err)
	}
	entries, err := os.ReadDir(dir)
	if info, serr := os.Stat(name); err != nil || serr != nil || len(entries) != 1 || info.Size() != 4096 {
		t.Errorf("%v, %v, %v", entries, err, serr)
	}
}

func TestDevice(t *testing.T) {
	if err := Start("x").WriteFile(t.Context(), "/dev/full"); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v", err)
	}
	if err := Start("x").WriteFile(t.Context(), os.DevNull); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%v, %v", info, err)
	}
}

// The progress of a stage can be watched from another goroutine.
func TestStatus(t *testing.T) {
	run := Start("chunkah build")
	scan, write := run.Stage("scan"), run.Stage("write")
	check := func(want Status, ended ...string) {
		t.Helper()
		if got := run.Status(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		var names []string
		for _, m := range run.Ended() {
			names = append(names, m.Stage)
			if m.Seconds < 0 {
				t.Errorf("%s took %g s", m.Stage, m.Seconds)
			}
		}
		if strings.Join(names, " ") != strings.Join(ended, " ") {
			t.Errorf("ended: %q, want %q", names, ended)
		}
	}
	check(Status{Stage: "scan"})
	pass(t, stream(), scan.Out(&list{}))
	files, bytes := run.Status().Files, run.Status().Bytes
	if files == 0 || bytes == 0 {
		t.Errorf("%d files, %d bytes", files, bytes)
	}
	scan.Done()
	pass(t, write.In(stream()), &list{})
	check(Status{Stage: "write", Files: files, Bytes: bytes}, "scan")
	write.Work().Expect(100)
	write.Work().Did(30)
	check(Status{Stage: "write", Files: files, Bytes: bytes, Done: 30, Expected: 100}, "scan")
	write.Work().Did(100) // includes repeated work
	write.Done()
	check(Status{Stage: "write", Files: files, Bytes: bytes, Done: 100, Expected: 100}, "scan", "write")
	if took := run.Took(); len(took) != 2 || took[0].Stage != "scan" || took[1].Stage != "write" {
		t.Errorf("%+v", took)
	}
	var none *Stage
	none.Work().Expect(1)
	none.Work().Did(1)
}
