package rpm

import (
	"fmt"
	"strings"

	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
)

const (
	// flagGhost marks files that the package owns but does not ship (RPMFILE_GHOST).
	flagGhost = 1 << 6
	// stateNormal is the state of an installed file. Other states are: replaced by another
	// package's file (1), not installed (2, for omitted documentation and languages), on a shared
	// file system (3), from another architecture's package (4), and unknown (255).
	stateNormal = 0
)

// pkg is one package of a database.
type pkg struct {
	name   string
	source string // the source package's name, or the package's own name if it names no source
	built  int64  // unix seconds, 0 for unknown
	header *header
	// readPackage sets the files and the times of the updates.
	files   *fileList
	updated []int64
}

// parsePackage parses a package's header. If the header is damaged, the error names the package, if
// its name can be read.
func parsePackage(blob []byte) (*pkg, error) {
	h, err := parseHeader(blob)
	if err != nil {
		return nil, err
	}
	p := &pkg{header: h}
	if p.name, err = h.text(tagName); err != nil {
		return nil, err
	}
	if err := pkgdb.CheckName(p.name); err != nil {
		return nil, err
	}
	src, err := h.text(tagSourceRPM)
	if err != nil {
		return nil, p.wrap(err)
	}
	p.source = sourceName(src)
	if p.source == "" {
		p.source = p.name
	}
	if err := pkgdb.CheckName(p.source); err != nil {
		return nil, p.wrap(err)
	}
	built, err := h.number(tagBuildTime)
	if err != nil {
		return nil, p.wrap(err)
	}
	p.built = int64(built)
	return p, nil
}

// sourceName returns the name in a source package's file name: the result for
// "glibc-2.38-1.fc39.src.rpm" is "glibc". It returns "" if the file name has another form.
func sourceName(file string) string {
	if file == "(none)" {
		return ""
	}
	s := strings.TrimSuffix(file, ".rpm")
	s = strings.TrimSuffix(strings.TrimSuffix(s, ".src"), ".nosrc")
	name := s
	for range 2 { // release, then version
		cut := strings.LastIndexByte(name, '-')
		if cut <= 0 {
			return s
		}
		name = name[:cut]
	}
	return name
}

// label returns name-version-release.arch, as rpm prints it, with the parts that can be read.
func (p *pkg) label() string {
	var s strings.Builder
	s.WriteString(p.name)
	for _, part := range []struct {
		tag uint32
		sep string
	}{{tagVersion, "-"}, {tagRelease, "-"}, {tagArch, "."}} {
		if text, err := p.header.text(part.tag); err == nil && text != "" {
			s.WriteString(part.sep + text)
		}
	}
	return s.String()
}

// describe fills in the remaining fields of the package, as far as its header can be read.
func (p *pkg) describe(to *assign.Package) {
	h := p.header
	to.Type = "rpm"
	to.Version = h.optional(tagVersion)
	if release := h.optional(tagRelease); release != "" {
		to.Version += "-" + release
	}
	if epoch, err := h.numbers(tagEpoch, typeInt32); err == nil && epoch.count > 0 { // an epoch of 0 is valid too
		to.Version = fmt.Sprintf("%d:%s", epoch.at(0), to.Version)
	}
	to.Arch, to.License, to.Source = h.optional(tagArch), h.optional(tagLicense), h.optional(tagSourceRPM)
}

// optional returns a tag's text, or "" if it cannot be read.
func (h *header) optional(tag uint32) string {
	text, err := h.text(tag)
	if err != nil || text == "(none)" || len(text) > assign.MaxListed {
		return ""
	}
	return strings.Clone(text)
}

func (p *pkg) wrap(err error) error { return fmt.Errorf("package %q: %w", p.label(), err) }

// changes returns the times of the package's changelog, in unix seconds.
func (p *pkg) changes() (list []int64, err error) {
	times, err := p.header.numbers(tagChangelogTime, typeInt32)
	if err != nil {
		return nil, p.wrap(err)
	}
	for i := range times.count {
		list = append(list, int64(times.at(i)))
	}
	return list, nil
}

// listed is a file in a package's list.
type listed struct {
	// path can lead through symlinks, and need not be absolute or clean.
	path string
	// mode is st_mode, or 0 if the package lists no mode.
	mode uint32
	size int64
	// digest is hexadecimal. It is empty for anything except regular files.
	digest string
	ghost  bool
	state  uint64
}

// fileList contains the parallel arrays that describe a package's files.
type fileList struct {
	dirs    []string // nil for old packages, whose names are full paths
	names   texts
	index   numbers // index of each file's directory in dirs
	modes   numbers
	sizes   numbers
	flags   numbers
	states  numbers
	digests texts
	algo    uint64
}

// files checks that the arrays of the package's files are consistent.
func (h *header) files() (l *fileList, err error) {
	l = &fileList{algo: algoMD5}
	if l.names, err = h.texts(tagBaseNames); err != nil {
		return nil, err
	}
	if l.names.count == 0 {
		if l.names, err = h.texts(tagOldFileNames); err != nil || l.names.count == 0 {
			return l, err
		}
	} else if err := l.readDirs(h); err != nil {
		return nil, err
	}
	if err := l.readArrays(h); err != nil {
		return nil, err
	}
	if _, ok := h.tags[tagFileDigestAlgo]; ok {
		l.algo, err = h.number(tagFileDigestAlgo)
	}
	return l, err
}

// readDirs reads the directories of the files.
func (l *fileList) readDirs(h *header) (err error) {
	dirs, err := h.texts(tagDirNames)
	if err != nil {
		return err
	}
	if l.index, err = h.numbers(tagDirIndexes, typeInt32); err != nil {
		return err
	}
	if l.index.count != l.names.count {
		return fmt.Errorf("has directories for %d of %d files", l.index.count, l.names.count)
	}
	l.dirs = make([]string, 0, dirs.count)
	for range dirs.count {
		dir, ok := dirs.next()
		if !ok {
			return fmt.Errorf("has %d of %d directories", len(l.dirs), dirs.count)
		}
		l.dirs = append(l.dirs, dir)
	}
	return nil
}

// readArrays reads the metadata of the files. Each array as a whole can be missing.
func (l *fileList) readArrays(h *header) (err error) {
	for _, a := range []struct {
		to        *numbers
		tag, kind uint32
		what      string
	}{
		{&l.modes, tagFileModes, typeInt16, "modes"},
		{&l.flags, tagFileFlags, typeInt32, "flags"},
		{&l.states, tagFileStates, typeChar, "states"},
		{&l.sizes, tagFileSizes, typeInt32, "sizes"},
		{&l.sizes, tagLongFileSizes, typeInt64, "sizes"}, // replaces the 32-bit sizes
	} {
		n, err := h.numbers(a.tag, a.kind)
		if err != nil {
			return err
		}
		if n.count != 0 && n.count != l.names.count {
			return fmt.Errorf("has %s for %d of %d files", a.what, n.count, l.names.count)
		}
		if n.count != 0 {
			*a.to = n
		}
	}
	if l.digests, err = h.texts(tagFileDigests); err != nil {
		return err
	}
	if l.digests.count != 0 && l.digests.count != l.names.count {
		return fmt.Errorf("has digests for %d of %d files", l.digests.count, l.names.count)
	}
	return nil
}

// each calls visit with every file, in the package's order. The same value is reused for each file.
func (l *fileList) each(visit func(*listed) error) error {
	var f listed
	for i := range l.names.count {
		name, ok := l.names.next()
		if !ok {
			return fmt.Errorf("has %d of %d files", i, l.names.count)
		}
		f = listed{path: name, state: stateNormal}
		if l.dirs != nil {
			d := l.index.at(i)
			if d >= uint64(len(l.dirs)) {
				return fmt.Errorf("file %d refers to directory %d, but the package lists only %d", i, d, len(l.dirs))
			}
			if len(l.dirs[d])+len(name) > assign.MaxListed {
				return fmt.Errorf("file %d has a path of %d bytes", i, len(l.dirs[d])+len(name))
			}
			f.path = l.dirs[d] + name
		}
		if err := l.describe(i, &f); err != nil {
			return err
		}
		if err := visit(&f); err != nil {
			return err
		}
	}
	return nil
}

// describe fills in the metadata of file i.
func (l *fileList) describe(i int, f *listed) error {
	if l.modes.count > 0 {
		f.mode = uint32(l.modes.at(i))
	}
	if l.sizes.count > 0 {
		f.size = int64(l.sizes.at(i))
	}
	if l.flags.count > 0 {
		f.ghost = l.flags.at(i)&flagGhost != 0
	}
	if l.states.count > 0 {
		f.state = l.states.at(i)
	}
	if l.digests.count > 0 {
		digest, ok := l.digests.next()
		if !ok {
			return fmt.Errorf("has digests for %d of %d files", i, l.digests.count)
		}
		f.digest = digest
	}
	return nil
}
