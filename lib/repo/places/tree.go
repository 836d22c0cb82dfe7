package places

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/rootfs"
)

// IsName reports whether a package in a directory of packages can have this name.
func IsName(name string) bool {
	return name != "" && len(name) <= format.MaxName && name[0] != '.' && !strings.ContainsAny(name, "/\x00")
}

// Outermost returns the physical directories in a map that are not below another directory in the
// map, sorted by path.
func Outermost(dirs map[string]int) (list []string) {
	for dir := range dirs {
		above := dir
		for found := false; !found; _, found = dirs[above] {
			if above == "/" {
				list = append(list, dir)
				break
			}
			above = format.Parent(above)
		}
	}
	slices.SortFunc(list, format.ComparePaths)
	return list
}

// ReadRecord reads the contents of a regular file's record. most is the largest allowed size, in
// bytes. fault reports a file that is missing, not regular, or larger than that. A repo can warn
// about it and continue without the file.
func ReadRecord(t *assign.Tree, i int, most int64) (raw []byte, fault, err error) {
	f, fault, err := openRecord(t, i)
	if fault != nil || err != nil {
		return nil, fault, err
	}
	defer f.Close()
	raw, err = io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, nil, err
	case int64(len(raw)) > most:
		return nil, fmt.Errorf("reading %q: the file is larger than %d bytes", f.Name(), most), nil
	}
	return raw, nil, nil
}

// Parse reads a record and parses its contents. fault is ReadRecord's fault, or parse's error with
// the file's path.
func Parse[T any](t *assign.Tree, i int, most int64, parse func(raw []byte) (T, error)) (v T, fault, err error) {
	raw, fault, err := ReadRecord(t, i, most)
	if fault != nil || err != nil {
		return v, fault, err
	}
	if v, fault = parse(raw); fault != nil {
		fault = fmt.Errorf("reading %q: %w", t.Files[i].Path, fault)
	}
	return v, fault, nil
}

// openRecord opens a regular file's record, with the same faults as ReadRecord.
func openRecord(t *assign.Tree, i int) (f *rootfs.File, fault, err error) {
	rec := t.Files[i]
	if rec.Type != format.TypeFile {
		return nil, fmt.Errorf("opening %q: %w", rec.Path, rootfs.ErrNotRegular), nil
	}
	f, err = t.Root.OpenFile(rec.Path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, rootfs.ErrNotRegular) {
		return nil, err, nil
	}
	return f, nil, err
}
