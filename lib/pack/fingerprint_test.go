package pack

import (
	"testing"

	"chunkah/format"
)

// A fingerprint depends on everything in the component's tar, and only on that.
func TestFingerprint(t *testing.T) {
	tree := func() []format.Record {
		return []format.Record{
			&format.Component{Name: "a"},
			dir("/"), dir("/usr"),
			with(file("/usr/1", "a"), func(f *format.File) { f.Hardlink = 1 }),
			with(file("/usr/2", "a"), func(f *format.File) { f.Hardlink = 1 }),
			with(file("/usr/3", "a"), func(f *format.File) { f.Xattrs = []format.Xattr{{Name: "user.x", Value: []byte("v")}} }),
			&format.File{Path: "/usr/4", Type: format.TypeSymlink, Target: "t", Components: []string{"a"}},
			&format.File{Path: "/usr/5", Type: format.TypeChar, DevMajor: 1, DevMinor: 2, Components: []string{"a"}},
			file("/var/x", "b"),
		}
	}
	one := func(path string, change func(*format.File)) func([]format.Record) {
		return func(records []format.Record) {
			for _, rec := range records {
				if f, ok := rec.(*format.File); ok && f.Path == path {
					change(f)
				}
			}
		}
	}
	both := func(change func(*format.File)) func([]format.Record) {
		return func(records []format.Record) {
			one("/usr/1", change)(records)
			one("/usr/2", change)(records)
		}
	}
	tests := []struct {
		name   string
		change func([]format.Record)
		same   bool
	}{
		{"nothing", func([]format.Record) {}, true},
		{"path", one("/usr/5", func(f *format.File) { f.Path = "/usr/6" }), false},
		{"type", one("/usr/5", func(f *format.File) { f.Type = format.TypeBlock }), false},
		{"target", one("/usr/4", func(f *format.File) { f.Target = "u" }), false},
		{"mode", one("/usr/3", func(f *format.File) { f.Mode = 0o600 }), false},
		{"uid", one("/usr/3", func(f *format.File) { f.UID = 1 }), false},
		{"gid", one("/usr/3", func(f *format.File) { f.GID = 1 }), false},
		{"size", both(func(f *format.File) { f.Size = 1 }), false},
		{"mtime", one("/usr/4", func(f *format.File) { f.MTime = -3 }), false},
		{"nanoseconds", one("/usr/4", func(f *format.File) { f.MTimeNsec = 3 }), true},
		{"major", one("/usr/5", func(f *format.File) { f.DevMajor = 3 }), false},
		{"minor", one("/usr/5", func(f *format.File) { f.DevMinor = 3 }), false},
		{"xattr name", one("/usr/3", func(f *format.File) { f.Xattrs[0].Name = "user.y" }), false},
		{"xattr value", one("/usr/3", func(f *format.File) { f.Xattrs[0].Value = nil }), false},
		{"control xattr", one("/usr/3", func(f *format.File) { f.Xattrs = append(f.Xattrs, format.Xattr{Name: "user.chunkah.x"}) }), true},
		{"no hard link", both(func(f *format.File) { f.Hardlink = 0 }), false},
		{"number of the inode", both(func(f *format.File) { f.Hardlink = 8 }), true},
		{"one file less", one("/usr/5", func(f *format.File) { f.Components = []string{"b"} }), false},
		{"one component more", one("/usr/5", func(f *format.File) { f.Components = []string{"a", "b"} }), true},
		{"mode of a parent", one("/usr", func(f *format.File) { f.Mode = 0o700 }), false},
		{"mtime of a parent", one("/usr", func(f *format.File) { f.MTime = 7 }), true},
		{"other component", one("/var/x", func(f *format.File) { f.Size, f.MTime = 7, 10 }), true},
		{"build time", func(records []format.Record) {
			c := records[0].(*format.Component)
			c.MtimeClamp, c.HasMtimeClamp = 2000, true
		}, false},
		{"update times", func(records []format.Record) { records[0].(*format.Component).Updates = []int64{5} }, true},
	}
	before, _ := run(t, Options{}, tree()...)
	want := before.of(t, "a").Fingerprints[0]
	if len(want) != 2*fingerprintSize {
		t.Errorf("fingerprint %q", want)
	}
	for _, tt := range tests {
		records := tree()
		tt.change(records)
		after, _ := run(t, Options{}, records...)
		if got := after.of(t, "a").Fingerprints[0]; got == want != tt.same {
			t.Errorf("%s: %q was %q", tt.name, got, want)
		}
	}
}

// A fingerprint in the stream takes precedence.
func TestGivenFingerprint(t *testing.T) {
	p, _ := run(t, Options{Max: 1}, &format.Component{Name: "b", Fingerprint: "mine"}, file("/a", "a"), file("/b", "b"))
	l := p.layers[0]
	if l.Fingerprints[1] != "mine" || l.Fingerprints[0] == "mine" || p.components[0].Fingerprint != l.Fingerprints[0] {
		t.Errorf("got\n%s", p.listing())
	}
}
