package write

import (
	"context"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"chunkah/format"
	"chunkah/lib/oci"
	"chunkah/lib/pack"
	"chunkah/lib/rootfs"
)

// plant creates files with these contents in a new directory and returns the directory. A name that
// ends with a slash is a directory. The content "-> target" makes a symlink, and "= name" makes a
// hard link.
func plant(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		path := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = plantOne(root, path, name, files[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func plantOne(root, path, name, content string) error {
	if target, ok := strings.CutPrefix(content, "-> "); ok {
		return os.Symlink(target, path)
	}
	if first, ok := strings.CutPrefix(content, "= "); ok {
		return os.Link(filepath.Join(root, first), path)
	}
	if strings.HasSuffix(name, "/") {
		return os.MkdirAll(path, 0o755)
	}
	return os.WriteFile(path, []byte(content), 0o644)
}

// bulk returns n incompressible bytes.
func bulk(n int, seed byte) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return string(b)
}

// sample is a tree with all kinds of files, large and small.
func sample(t testing.TB) string {
	return plant(t, map[string]string{
		"etc/name":        "sample\n",
		"etc/empty":       "",
		"etc/new\nline":   "odd",
		"etc/\xff":        "bytes",
		"usr/bin/tool":    bulk(700_001, 1),
		"usr/bin/zlink":   "= usr/bin/tool",
		"usr/lib/text":    strings.Repeat("a line of text\n", 100_000),
		"usr/lib/symlink": "-> ../bin/tool",
		"var/data":        bulk(2_000_000, 2),
		"var/none/":       "",
	})
}

// records lists a tree like scan, with one component per directory.
func records(t testing.TB, root string) []format.Record {
	t.Helper()
	list := []format.Record{&format.Header{Version: format.Version, Stage: format.StageAssign, Root: root}}
	groups := map[uint64]int64{}
	tree, err := rootfs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		f := record(info, path, strings.TrimPrefix(path, root), groups)
		if f.Type == format.TypeFile {
			st, err := tree.Lstat(f.Path)
			if err != nil {
				return err
			}
			f.Stamp = st.Stamp()
		}
		list = append(list, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func record(info os.FileInfo, path, name string, groups map[uint64]int64) *format.File {
	st := info.Sys().(*syscall.Stat_t)
	f := &format.File{
		Path: name, Mode: uint16(st.Mode & 0o7777), UID: st.Uid, GID: st.Gid, MTime: st.Mtim.Sec, MTimeNsec: int32(st.Mtim.Nsec),
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		f.Type = format.TypeDir
		if f.Path == "" {
			f.Path = "/"
		}
		return f
	case fs.ModeSymlink:
		f.Type = format.TypeSymlink
		f.Target, _ = os.Readlink(path)
	default:
		f.Type, f.Size = format.TypeFile, info.Size()
	}
	if st.Nlink > 1 {
		if groups[st.Ino] == 0 {
			groups[st.Ino] = int64(len(groups) + 1)
		}
		f.Hardlink = groups[st.Ino]
	}
	f.Components = []string{"dir/" + strings.Split(name, "/")[1]}
	return f
}

// source returns records.
type source []format.Record

func (s *source) Next() (format.Record, error) {
	if len(*s) == 0 {
		return nil, io.EOF
	}
	rec := (*s)[0]
	*s = (*s)[1:]
	return rec, nil
}

// sink keeps records.
type sink []format.Record

func (s *sink) Write(rec format.Record) error { *s = append(*s, rec); return nil }
func (s *sink) Finish() error                 { return nil }

// packed returns the packed stream of a tree.
func packed(t testing.TB, root string) []format.Record {
	t.Helper()
	in, out := source(records(t, root)), sink{}
	if _, err := pack.Run(context.Background(), &in, &out, pack.Options{}); err != nil {
		t.Fatal(err)
	}
	return out
}

// to returns options for an archive in a file, or for a layout if the name ends with a slash.
func to(name string) Options {
	return Options{
		SpoolDir: filepath.Dir(name),
		Create: func() (oci.Destination, error) {
			if strings.HasSuffix(name, "/") {
				return oci.OpenLayout(name, "", oci.Options{})
			}
			return oci.CreateArchive(name, oci.Options{})
		},
	}
}

// toWriter returns options for an archive that is written to a stream.
func toWriter(w io.Writer) Options {
	return Options{Create: func() (oci.Destination, error) { return oci.NewArchive(w), nil }}
}

// complete writes and commits an image.
func complete(ctx context.Context, in format.Source, opt Options) (*Report, error) {
	p, err := Run(ctx, in, opt)
	if err == nil {
		err = p.Commit()
	}
	if err != nil {
		return nil, err
	}
	return p.Report, nil
}

func run(t testing.TB, opt Options, stream []format.Record) *Report {
	t.Helper()
	in := source(stream)
	report, err := complete(context.Background(), &in, opt)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// fails checks that a run fails with an error that contains want, and that the output's directory
// is empty.
func fails(t *testing.T, opt Options, stream []format.Record, want string) {
	t.Helper()
	in := source(stream)
	report, err := complete(context.Background(), &in, opt)
	if err == nil || !strings.Contains(err.Error(), want) || report != nil {
		t.Errorf("got %v and %v, want %q", report, err, want)
	}
	if opt.SpoolDir != "" {
		empty(t, opt.SpoolDir)
	}
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%q was left behind", filepath.Join(dir, e.Name()))
	}
}
