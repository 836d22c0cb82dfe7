package dpkg

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
)

const (
	docDir = "/usr/share/doc"
	// maxChangelog is the largest number of decompressed bytes that are read from a changelog. It
	// is enough for a few hundred entries, and the newest entries come first.
	maxChangelog = 256 << 10
)

// version is a version of a source package. Packages with the same version share a changelog.
type version struct{ source, version string }

// readChangelogs reads a package's updates and clamp from its changelogs. It returns false if the
// package has no changelogs. Packages with the same source and version share their changelogs,
// which are read only once.
func (l *loader) readChangelogs(ctx context.Context, e *Entry, pkg *assign.Package) (bool, error) {
	key := version{e.Source, e.Version}
	if l.dated[key] {
		return true, nil
	}
	dir, names, found, err := pkgdb.Dir(l.db.root, format.Join(docDir, e.Name))
	if err != nil || !found {
		return false, err
	}
	var newest int64
	var times []int64
	for _, group := range changelogNames(e.Arch) {
		for _, name := range group {
			if _, ok := slices.BinarySearch(names, name); !ok {
				continue
			}
			list, err := l.changelog(ctx, format.Join(dir, name))
			if err != nil {
				return false, err
			}
			if len(list) > 0 {
				newest = max(newest, list[0])
				times = append(times, list...)
			}
		}
		if len(times) > 0 {
			break
		}
	}
	if len(times) == 0 {
		return false, nil
	}
	l.dated[key] = true
	// A date that is later than the date of the newest entry is a mistake.
	times = slices.DeleteFunc(times, func(t int64) bool { return t > newest })
	l.out.Update(pkg, times...)
	l.out.Clamp(pkg, newest)
	return true, nil
}

// changelogNames returns the names under which changelogs are looked for: first Debian's
// changelogs, then the upstream changelog. Native packages contain only the latter.
func changelogNames(arch string) [][]string {
	return [][]string{
		{"changelog.Debian.gz", "changelog.Debian", "changelog.Debian." + arch + ".gz", "changelog.Debian." + arch},
		{"changelog.gz", "changelog"},
	}
}

// changelog returns the times of a changelog's entries in the order of the file. For a file that is
// not a changelog it returns neither times nor an error, because the package can still be complete.
func (l *loader) changelog(ctx context.Context, path string) (times []int64, err error) {
	physical, found, err := pkgdb.Resolve(l.db.root, path)
	if err != nil || !found {
		return nil, err
	}
	st, err := l.db.root.Lstat(physical)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, err
	}
	f, err := l.db.root.OpenFile(physical)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		// Use a new reader for each file. A reused klauspost reader keeps codes of the previous
		// file, and a package's times must not depend on another package's changelog.
		if r, err = gzip.NewReader(f); err != nil {
			return nil, ctx.Err()
		}
	}
	l.lines.Reset(io.LimitReader(r, maxChangelog), maxChangelog)
	return parseChangelog(l.lines), ctx.Err()
}

// maxEntries is the largest number of entries read from one changelog.
const maxEntries = 4096

// parseChangelog returns the time, in unix seconds, in the last line of each entry, which has the
// form " -- NAME <ADDRESS>  DATE". It stops at the first damaged entry.
func parseChangelog(text *pkgdb.Lines) (times []int64) {
	for len(times) < maxEntries && text.Next() {
		line, ok := bytes.CutPrefix(text.Text(), []byte(" -- "))
		if !ok {
			continue
		}
		cut := bytes.LastIndex(line, []byte("> "))
		if cut < 0 {
			continue
		}
		if t, ok := parseDate(string(line[cut+2:])); ok {
			times = append(times, t)
		}
	}
	return times
}

// parseDate parses a date in the format used in mail, "Mon, 02 Jan 2023 13:06:21 +0100". It ignores
// the name of the day, which is sometimes misspelt.
func parseDate(text string) (int64, bool) {
	if _, rest, ok := strings.Cut(text, ","); ok {
		text = rest
	}
	t, err := time.Parse("2 Jan 2006 15:04:05 -0700", strings.Join(strings.Fields(text), " "))
	if err != nil || t.Unix() <= 0 {
		return 0, false
	}
	return t.Unix(), true
}
