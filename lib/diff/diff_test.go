package diff

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
)

// files returns an iterator over records.
func files(list ...format.File) iter.Seq2[*format.File, error] {
	return func(yield func(*format.File, error) bool) {
		for _, f := range list {
			f.Xattrs = slices.Clone(f.Xattrs)
			if !yield(&f, nil) {
				return
			}
		}
	}
}

// sums returns a side whose files contain these strings.
func sums(list []format.File, texts map[string]string) Side {
	return Side{Files: files(list...), Sum: func(path string) (s Sum, err error) {
		copy(s[:], texts[path])
		return s, nil
	}}
}

// base returns a file of every type, a hard-link group of each type that allows hard links, and
// names that are not in byte order.
func base() []format.File {
	x := func(value string) []format.Xattr { return []format.Xattr{{Name: "user.x", Value: []byte(value)}} }
	return []format.File{
		{Path: "/", Type: format.TypeDir, Mode: 0o755, Xattrs: x("root")},
		{Path: "/a", Type: format.TypeDir, Mode: 0o700, UID: 1, GID: 2, MTime: 5, MTimeNsec: 6, Xattrs: x("dir")},
		{Path: "/a/f", Type: format.TypeFile, Mode: 0o644, UID: 3, GID: 4, Size: 7, MTime: -8, MTimeNsec: 9, Xattrs: x("file")},
		{Path: "/a/g", Type: format.TypeFile, Mode: 0o644, Size: 1, Hardlink: 1},
		{Path: "/a/h", Type: format.TypeFile, Mode: 0o644, Size: 1, Hardlink: 1},
		{Path: "/a-b", Type: format.TypeFile, Mode: 0o600},
		{Path: "/block", Type: format.TypeBlock, Mode: 0o660, DevMajor: 8, DevMinor: 1, Xattrs: x("block")},
		{Path: "/char", Type: format.TypeChar, Mode: 0o660, DevMajor: 1, DevMinor: 3, Xattrs: x("char")},
		{Path: "/fifo", Type: format.TypeFifo, Mode: 0o600, UID: 5, Xattrs: x("fifo")},
		{Path: "/link", Type: format.TypeSymlink, Mode: 0o777, Target: "a/f", MTime: 1, Xattrs: x("link")},
		{Path: "/n\xff", Type: format.TypeFile, Mode: 0o600, Hardlink: 2},
		{Path: "/z", Type: format.TypeFile, Mode: 0o600, Hardlink: 2},
	}
}

func run(t *testing.T, a, b Side, opt Options) []string {
	t.Helper()
	found, err := Run(context.Background(), a, b, opt)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range found {
		lines = append(lines, d.String())
	}
	return lines
}

// mutation changes one field.
type mutation struct {
	name   string
	types  []format.Type // types with the field; nil for all
	change func(*format.File)
	time   bool // ignored with --ignore-mtime
	// lost is set if a layer cannot store it.
	lost bool
}

var mutations = []mutation{
	{name: "mode", types: notSymlink, change: func(f *format.File) { f.Mode ^= 0o001 }},
	{name: "setuid", types: notSymlink, change: func(f *format.File) { f.Mode ^= 0o4000 }},
	{name: "setgid", types: notSymlink, change: func(f *format.File) { f.Mode ^= 0o2000 }},
	{name: "sticky", types: notSymlink, change: func(f *format.File) { f.Mode ^= 0o1000 }},
	{name: "uid", change: func(f *format.File) { f.UID++ }},
	{name: "gid", change: func(f *format.File) { f.GID++ }},
	{name: "mtime", change: func(f *format.File) { f.MTime++ }, time: true},
	{name: "mtime_nsec", change: func(f *format.File) { f.MTimeNsec++ }, time: true, lost: true},
	{name: "size", types: []format.Type{format.TypeFile}, change: func(f *format.File) { f.Size++ }},
	{name: "target", types: []format.Type{format.TypeSymlink}, change: func(f *format.File) { f.Target += "x" }},
	{name: "dev_major", types: devices, change: func(f *format.File) { f.DevMajor++ }},
	{name: "dev_minor", types: devices, change: func(f *format.File) { f.DevMinor++ }},
	{name: "xattr added", change: func(f *format.File) { f.Xattrs = append(f.Xattrs, format.Xattr{Name: "user.a", Value: []byte{0}}) }},
	{name: "empty xattr added", change: func(f *format.File) { f.Xattrs = append(f.Xattrs, format.Xattr{Name: "user.a"}) }, lost: true},
	{name: "type", change: func(f *format.File) {
		if f.Type = format.TypeFifo; f.Path == "/fifo" {
			f.Type = format.TypeFile
		}
	}},
}

var (
	devices    = []format.Type{format.TypeChar, format.TypeBlock}
	notSymlink = []format.Type{format.TypeDir, format.TypeFile, format.TypeFifo, format.TypeChar, format.TypeBlock}
)

// Every change to one field of one file is found from either side, and nothing else is reported.
// Ignored changes are not reported.
func TestEveryMutation(t *testing.T) {
	tried := 0
	for _, m := range mutations {
		for i, f := range base() {
			if m.types != nil && !slices.Contains(m.types, f.Type) {
				continue
			}
			tried++
			changed := base()
			changed[i].Xattrs = slices.Clone(f.Xattrs)
			m.change(&changed[i])
			for _, opt := range []Options{{}, {IgnoreMTime: true}, {AsInLayers: true}} {
				want := 1
				if m.time && opt.IgnoreMTime || m.lost && opt.AsInLayers {
					want = 0
				}
				one := run(t, sums(base(), nil), sums(changed, nil), opt)
				other := run(t, sums(changed, nil), sums(base(), nil), opt)
				if len(one) != want || len(other) != want {
					t.Errorf("%s of %q, %+v: %q and %q, want %d each", m.name, f.Path, opt, one, other, want)
				}
			}
		}
	}
	if tried < 100 {
		t.Errorf("%d mutations were tried", tried)
	}
}

func TestXattrMutations(t *testing.T) {
	for i, f := range base() {
		if len(f.Xattrs) == 0 {
			continue
		}
		gone, other, renamed := base(), base(), base()
		gone[i].Xattrs = nil
		other[i].Xattrs = []format.Xattr{{Name: "user.x", Value: []byte("another")}}
		renamed[i].Xattrs = []format.Xattr{{Name: "user.y", Value: f.Xattrs[0].Value}}
		for want, list := range map[int][][]format.File{1: {gone, other}, 2: {renamed}} {
			for _, l := range list {
				if got := run(t, sums(base(), nil), sums(l, nil), Options{}); len(got) != want {
					t.Errorf("%q: %q, want %d", f.Path, got, want)
				}
			}
		}
		skip := Options{SkipXattr: func(name string) bool { return name == "user.x" }}
		if got := run(t, sums(base(), nil), sums(gone, nil), skip); len(got) != 0 {
			t.Errorf("%q: %q, although user.x is ignored", f.Path, got)
		}
	}
}

// A file that is missing on one side is found, whatever its position in the list.
func TestMissing(t *testing.T) {
	for i, f := range base() {
		less := slices.Delete(base(), i, i+1)
		got := run(t, sums(base(), nil), sums(less, nil), Options{})
		if len(got) != 1 || !strings.Contains(got[0], "only on the first side ("+f.Type.String()+")") {
			t.Errorf("%q is missing in the second: %q", f.Path, got)
		}
		got = run(t, sums(less, nil), sums(base(), nil), Options{})
		if len(got) != 1 || !strings.Contains(got[0], "only on the second side ("+f.Type.String()+")") {
			t.Errorf("%q is missing in the first: %q", f.Path, got)
		}
	}
}

// The bytes of each file are compared. The bytes of a hard-link group are compared once.
func TestContents(t *testing.T) {
	for _, test := range []struct{ path, want string }{
		{"/a/f", `"/a/f": contents differ`}, {"/a/g", `"/a/g": contents differ`}, {"/a/h", ""}, {"/a-b", ""},
	} {
		got := strings.Join(run(t, sums(base(), nil), sums(base(), map[string]string{test.path: "other"}), Options{}), "\n")
		if got != test.want {
			t.Errorf("%q: %q, want %q", test.path, got, test.want)
		}
	}
}

func TestHardlinks(t *testing.T) {
	list := func(groups ...int64) []format.File {
		var l []format.File
		for i, g := range groups {
			l = append(l, format.File{Path: "/" + string(rune('a'+i)), Type: format.TypeFifo, Hardlink: g})
		}
		return l
	}
	for _, test := range []struct {
		name string
		a, b []int64
		want []string
	}{
		{"different group numbers", []int64{1, 2, 1, 2}, []int64{9, 4, 9, 4}, nil},
		{"groups of one name", []int64{1, 0}, []int64{0, 7}, nil},
		{"one name less", []int64{1, 1, 1}, []int64{1, 1, 0}, []string{`"/c": hardlink: "/a" and none`}},
		{"without the first name", []int64{1, 1, 1}, []int64{0, 1, 1}, []string{`"/b": hardlink: "/a" and none`, `"/c": hardlink: "/a" and "/b"`}},
		{"split", []int64{1, 1, 1, 1}, []int64{1, 1, 2, 2}, []string{`"/c": hardlink: "/a" and none`, `"/d": hardlink: "/a" and "/c"`}},
		{"crossed", []int64{1, 2, 1, 2}, []int64{1, 2, 2, 1}, []string{`"/c": hardlink: "/a" and "/b"`, `"/d": hardlink: "/b" and "/a"`}},
	} {
		if got := run(t, sums(list(test.a...), nil), sums(list(test.b...), nil), Options{}); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	// A name that is missing on one side does not split the rest of its group.
	whole := list(1, 1, 1)
	if got := run(t, sums(whole, nil), sums(whole[1:], nil), Options{}); len(got) != 1 {
		t.Errorf("without its first name: %q", got)
	}
}

func TestOrderAndText(t *testing.T) {
	changed := base()
	changed[1].Mode, changed[1].UID, changed[1].MTimeNsec = 0o1777, 9, 0
	changed[2].MTime = -9
	changed[2].Size = 8
	changed[2].Xattrs = []format.Xattr{{Name: "user.x", Value: []byte("\x00\n")}}
	changed[7].DevMinor = 5
	changed[9].Target = "a\nb"
	changed[10].GID = 7
	changed = append(changed, format.File{Path: "/zz", Type: format.TypeDir})
	got := run(t, sums(base(), nil), sums(changed, nil), Options{Threads: 1})
	want := []string{
		`"/a": mode: 0700 and 1777`, `"/a": uid: 1 and 9`, `"/a": mtime: 5.000000006 and 5`,
		`"/a/f": size: 7 and 8`, `"/a/f": xattr "user.x": "file" and "\x00\n"`, `"/a/f": mtime: -7.999999991 and -8.999999991`,
		`"/char": device: 1:3 and 1:5`, `"/link": target: "a/f" and "a\nb"`, `"/n\xff": gid: 0 and 7`,
		`"/zz": only on the second side (dir)`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestJSON(t *testing.T) {
	for _, test := range []struct {
		d    Difference
		want string
	}{
		{Difference{Path: "/a", Field: FieldType, A: new("file")}, `{"path":"/a","field":"type","a":"file"}`},
		{Difference{Path: "/a\xff", Field: FieldXattr, Name: "user.x", A: new(""), B: new("\xfe")},
			`{"path":"/a` + "\ufffd" + `","path_raw":"L2H/","field":"xattr","name":"user.x","a":"","b":"` + "\ufffd" + `","b_raw":"/g=="}`},
		{Difference{Field: FieldConfig, Name: "config.Env", B: new(`["A=1"]`)}, `{"field":"config","name":"config.Env","b":"[\"A=1\"]"}`},
	} {
		got, err := json.Marshal(test.d)
		if err != nil || string(got) != test.want {
			t.Errorf("got %s, %v, want %s", got, err, test.want)
		}
	}
}

// An unreadable side is an error, whichever side it is and whichever record is affected.
func TestTrouble(t *testing.T) {
	broken := errors.New("broken")
	fails := func(list ...format.File) Side {
		return Side{Files: func(yield func(*format.File, error) bool) {
			for _, f := range list {
				if !yield(&f, nil) {
					return
				}
			}
			yield(nil, broken)
		}, Sum: func(string) (Sum, error) { return Sum{}, nil }}
	}
	unread := sums(base(), nil)
	unread.Sum = func(string) (Sum, error) { return Sum{}, broken }
	for name, pair := range map[string][2]Side{
		"first":    {fails(), sums(base(), nil)},
		"second":   {sums(base(), nil), fails(base()...)},
		"empty":    {sums(nil, nil), fails()},
		"contents": {sums(base(), nil), unread},
	} {
		if _, err := Run(context.Background(), pair[0], pair[1], Options{}); !errors.Is(err, broken) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(broken)
	if _, err := Run(ctx, sums(base(), nil), sums(base(), nil), Options{}); !errors.Is(err, broken) {
		t.Errorf("the error of a stopped run is %v", err)
	}
}
