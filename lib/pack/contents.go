package pack

import (
	"strings"

	"chunkah/format"
	"chunkah/lib/contentid"
	"chunkah/lib/pyc"
)

// fileDigests contains the results for files of components without an mtime clamp.
type fileDigests struct {
	read []fileDigest // by file; nil if no file was read
	// compiled contains the sources of compiled Python, with the source time that the compiled file
	// records.
	compiled map[pySource]bool
	// compiledLinks contains the hard-link groups that include such a source, because all hard
	// links to an inode have the same time.
	compiledLinks map[int64]bool
	// timed is like compiled, but for all files; it is used if all files are read.
	timed map[pySource]bool
	// closed is the number of components with a file that the user is not permitted to read.
	closed int
}

func newFileDigests() *fileDigests {
	return &fileDigests{
		compiled: make(map[pySource]bool), compiledLinks: make(map[int64]bool), timed: make(map[pySource]bool),
	}
}

// fileDigest is the result for one file.
type fileDigest struct {
	sum    uint64 // of package contentid, if hashed
	pyTime uint32 // the source's time recorded in compiled Python, if timed
	timed  bool
	hashed bool
	closed bool // permission denied
}

// of returns the result for a file.
func (d *fileDigests) of(i int) fileDigest {
	if d.read == nil {
		return fileDigest{}
	}
	return d.read[i]
}

type pySource struct {
	path string
	time uint32
}

// findCompiled finds the sources of the compiled Python files that were read.
func (t *tree) findCompiled(python []int) {
	for _, i := range python {
		d := t.digests.of(i)
		if !d.timed {
			continue
		}
		for _, path := range pyc.Sources(t.files[i].Path) {
			t.digests.timed[pySource{path, d.pyTime}] = true
			if t.unbounded(i) {
				t.digests.compiled[pySource{path, d.pyTime}] = true
			}
		}
	}
	for _, f := range t.files {
		if f.Hardlink != 0 && t.digests.ownTime(f) {
			t.digests.compiledLinks[f.Hardlink] = true
		}
	}
}

// ownTime reports whether a file must keep its own time. Compiled Python contains its source's
// time, and is stale if the two times differ.
func (d *fileDigests) ownTime(f *format.File) bool {
	return f.Type == format.TypeFile && (f.Hardlink != 0 && d.compiledLinks[f.Hardlink] ||
		strings.HasSuffix(f.Path, ".py") && d.compiled[pySource{f.Path, uint32(f.MTime)}])
}

// attributes sets the attributes of components without an mtime clamp, except components with a
// file that is already known to be unreadable.
func (t *tree) attributes() {
	marks := newMarks(t)
	var p print
	for n, c := range t.components {
		if c.bounded {
			continue
		}
		if known, _ := t.known(c); !known {
			continue
		}
		p.reset()
		p.text(contentsVersion)
		for _, i := range marks.withParents(c.files, n+1) {
			f := t.files[i]
			own, time := t.digests.ownTime(f), int64(0)
			if own {
				time = f.MTime
			}
			p.file(f, time)
			if own {
				p.number(1) // even if the time is 0
			}
		}
		c.attributes = contentid.Attributes(p.sum())
	}
}

// contentsVersion changes with the definition of contents, so that contents computed by different
// definitions never match.
const contentsVersion = "contents 2"

// setContents sets the contents of these components after their files were read.
func (t *tree) setContents(incomplete func(*component) bool) {
	for _, c := range t.components {
		if c.bounded {
			continue
		}
		known, closed := t.known(c)
		if closed {
			t.digests.closed++
		}
		switch {
		case !known:
		case incomplete(c):
			c.contents = c.attributes.Incomplete()
		default:
			files := contentid.New(c.attributes)
			for _, i := range c.files {
				if d := t.digests.of(i); d.hashed {
					files.Add(d.sum)
				}
			}
			c.contents = files.ID()
		}
	}
}

// known reports whether all files of a component could be read. If not, closed reports whether
// permission was the reason.
func (t *tree) known(c *component) (known, closed bool) {
	for _, i := range c.files {
		if t.files[i].Size == format.SizeUnknown {
			return false, false
		}
		if t.digests.of(i).closed {
			return false, true
		}
	}
	return true, false
}
