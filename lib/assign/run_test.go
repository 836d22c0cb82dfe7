package assign

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
)

// run runs assign on a stream. Input and output are text.
func run(t *testing.T, in string, opt Options) (string, *Outcome, error) {
	t.Helper()
	var out bytes.Buffer
	r := format.NewReader(strings.NewReader(in), "stdin")
	outcome, err := Run(t.Context(), r, format.NewWriter(&out, format.JSON), opt)
	return out.String(), outcome, err
}

func lines(parts ...string) string { return strings.Join(parts, "\n") + "\n" }

const (
	rootLine = `{"file":{"path":"/","type":"dir","mode":493,"uid":0,"gid":0,"mtime":0}}`
	endLine  = `{"end":{}}`
	// leftoverLine is the record of the component for unowned system files.
	leftoverLine = `{"component":{"name":"chunkah/unclaimed","interval_days":1}}`
)

func fileLine(path, components string) string {
	line := `{"file":{"path":"` + path + `","type":"file","mode":420,"uid":0,"gid":0,"size":5,"mtime":0`
	if components != "" {
		line += `,"components":["` + strings.ReplaceAll(components, " ", `","`) + `"]`
	}
	return line + "}}"
}

func TestRun(t *testing.T) {
	dir := onDisk(t, nil).Path()
	header := `{"header":{"version":1,"stage":"scan","root":"` + dir + `","source_date":9}}`
	in := lines(header, `{"component":{"name":"mine","interval_days":5}}`, `{"component":{"name":"x/1","fingerprint":"kept"}}`,
		rootLine, fileLine("/a", ""), fileLine("/b", "mine"), fileLine("/c", ""), endLine)
	repos := []Repo{fake{name: "x", claims: []string{"/a x/1", "/b x/2"}}}
	want := lines(strings.Replace(header, "scan", "assign", 1),
		`{"component":{"name":"mine","interval_days":5}}`, `{"component":{"name":"x/1","fingerprint":"kept"}}`, leftoverLine,
		rootLine, fileLine("/a", "x/1"), fileLine("/b", "mine"), fileLine("/c", "chunkah/unclaimed"), endLine)

	out, _, err := run(t, in, Options{Repos: repos})
	if out != want || err != nil {
		t.Errorf("%v, got\n%swant\n%s", err, out, want)
	}
	again, outcome, err := run(t, out, Options{Repos: repos})
	if again != want || err != nil {
		t.Errorf("again: %v, got\n%swant\n%s", err, again, want)
	}
	if len(outcome.Components) != 0 {
		t.Errorf("the second run has %q", names(outcome.Components))
	}

	out, _, err = run(t, in, Options{Repos: repos, Override: true})
	want = lines(strings.Replace(header, "scan", "assign", 1),
		`{"component":{"name":"x/1","interval_days":3}}`, `{"component":{"name":"x/2","interval_days":3}}`, leftoverLine,
		rootLine, fileLine("/a", "x/1"), fileLine("/b", "x/2"), fileLine("/c", "chunkah/unclaimed"), endLine)
	if out != want || err != nil {
		t.Errorf("with --override: %v, got\n%swant\n%s", err, out, want)
	}
}

// Component records from the input are kept unless a repo replaces them.
func TestRunKeepsComponentRecords(t *testing.T) {
	dir := onDisk(t, nil).Path()
	in := lines(`{"header":{"version":1,"root":"`+dir+`"}}`, rootLine, fileLine("/a", "b"),
		`{"component":{"name":"nobody's"}}`, `{"component":{"name":"b","updates":[3,1]}}`, endLine)
	out, _, err := run(t, in, Options{})
	want := lines(`{"header":{"version":1,"stage":"assign","root":"`+dir+`"}}`,
		`{"component":{"name":"nobody's"}}`, `{"component":{"name":"b","updates":[3,1]}}`, rootLine, fileLine("/a", "b"), endLine)
	if out != want || err != nil {
		t.Errorf("%v, got\n%swant\n%s", err, out, want)
	}
}

// Directories are tagged too, so that a second run changes nothing.
func TestRunTwice(t *testing.T) {
	files := records("/", "/d/", "/d/f g1", "/e/", "/f g1", "/opt/", "/opt/x/", "/opt/x/y", "/l -> d")
	root := onDisk(t, files)
	repos := []Repo{fake{name: "x", claims: []string{"/d x/a", "/d x/b", "/f x/a", "~/opt/x x/c"}}}
	var first bytes.Buffer
	w := format.NewWriter(&first, format.JSON)
	for _, rec := range slices.Concat([]format.Record{&format.Header{Version: format.Version, Root: root.Path()}}, asRecords(files)) {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	once, _, err := run(t, first.String(), Options{Repos: repos})
	if err != nil {
		t.Fatal(err)
	}
	twice, _, err := run(t, once, Options{Repos: repos})
	if twice != once || err != nil {
		t.Errorf("%v, once\n%stwice\n%s", err, once, twice)
	}
	override, _, err := run(t, once, Options{Repos: repos, Override: true})
	if override != once || err != nil {
		t.Errorf("%v, once\n%swith --override\n%s", err, once, override)
	}
}

func asRecords(files []*format.File) []format.Record {
	var list []format.Record
	for _, f := range files {
		list = append(list, f)
	}
	return list
}

// TestNoRoot checks a stream without header.root, which a script can write. No database is read
// then, and the rest still works.
func TestNoRoot(t *testing.T) {
	out, outcome, err := run(t, lines(`{"header":{"version":1}}`, rootLine, endLine), Options{})
	if err != nil || !strings.Contains(out, format.EmptyDirectories) {
		t.Fatalf("got %q, %v", out, err)
	}
	if len(outcome.Warnings) != 1 || !strings.Contains(outcome.Warnings[0], "--rootfs") {
		t.Errorf("warnings are %q, want one that names --rootfs", outcome.Warnings)
	}
}

func TestRunErrors(t *testing.T) {
	dir := onDisk(t, nil).Path()
	header := `{"header":{"version":1,"root":"` + dir + `"}}`
	for _, test := range []struct{ name, in, want string }{
		{"packed", lines(`{"header":{"version":1,"stage":"pack"}}`, endLine), "the stream is already packed: run chunkah-assign before chunkah-pack"},
		{"layers", lines(header, `{"layer":{"index":0,"components":["x"]}}`, rootLine, endLine), "the stream already contains layers: run chunkah-assign before chunkah-pack"},
		{"root gone", lines(`{"header":{"version":1,"root":"/no/such"}}`, rootLine, endLine), `opening root "/no/such": no such file or directory`},
		{"truncated", lines(header, rootLine), "stream ended without its end record"},
		{"empty", "", "stream ended without its end record"},
		{"garbled", lines(header, "{", endLine), ""},
		{"order", lines(header, fileLine("/b", ""), fileLine("/a", ""), endLine), `path "/a" comes after "/b"`},
		{"hostile", lines(header, fileLine("/../a", ""), endLine), `path "/../a" is not clean`},
	} {
		out, outcome, err := run(t, test.in, Options{})
		if err == nil || !strings.Contains(err.Error(), test.want) || out != "" || outcome != nil {
			t.Errorf("%s: %q, %v, %v", test.name, out, outcome, err)
		}
	}
	out, _, err := run(t, lines(header, rootLine, endLine), Options{Repos: []Repo{fake{name: "x", err: errBroken}}})
	if !errors.Is(err, errBroken) || out != "" {
		t.Errorf("a broken repo: %q, %v", out, err)
	}
}

// The caller's root takes precedence over the header's.
func TestRunRoot(t *testing.T) {
	files := records("/", "/lib -> usr/lib", "/usr/", "/usr/lib/", "/usr/lib/x")
	root := onDisk(t, files)
	in := lines(`{"header":{"version":1,"root":"/no/such"}}`, rootLine, fileLine("/usr/lib/x", ""), endLine)
	if _, _, err := run(t, in, Options{Root: root}); err != nil {
		t.Error(err)
	}
	if _, err := root.Lstat("/lib"); err != nil {
		t.Errorf("the caller's root is closed: %v", err)
	}
}

func TestRunCancelled(t *testing.T) {
	why := errors.New("someone pressed a key")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	var out bytes.Buffer
	in := lines(`{"header":{"version":1,"root":"`+onDisk(t, nil).Path()+`"}}`, rootLine, fileLine("/a", ""), endLine)
	_, err := Run(ctx, format.NewReader(strings.NewReader(in), "stdin"), format.NewWriter(&out, format.JSON), Options{})
	if !errors.Is(err, why) || out.Len() != 0 {
		t.Errorf("%v, %q", err, out.String())
	}
}

// A failing sink ends the stage at any record.
func TestRunSinkFails(t *testing.T) {
	in := lines(`{"header":{"version":1,"root":"`+onDisk(t, nil).Path()+`"}}`, rootLine, fileLine("/a", ""), `{"component":{"name":"c"}}`, endLine)
	for left := range 4 {
		sink := &fullSink{left: left}
		_, err := Run(t.Context(), format.NewReader(strings.NewReader(in), "stdin"), sink, Options{})
		if !errors.Is(err, errFull) || sink.finished {
			t.Errorf("after %d records: %v, %v", left, err, sink.finished)
		}
	}
}

// fullSink accepts a few records and then fails.
type fullSink struct {
	left     int
	finished bool
}

var errFull = errors.New("no space left")

func (s *fullSink) Write(format.Record) error {
	if s.left--; s.left < 0 {
		return errFull
	}
	return nil
}

func (s *fullSink) Finish() error {
	s.finished = true
	return nil
}
