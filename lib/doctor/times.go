package doctor

import (
	"encoding/binary"
	"strings"

	"chunkah/format"
)

// bound returns the mtime limit of the file's component.
func (e *Examiner) bound(f *format.File) (clamp int64, bounded bool) {
	if len(f.Components) == 0 {
		return 0, false
	}
	clamp, bounded = e.bounded[f.Components[0]]
	return clamp, bounded
}

// hasBuildTime reports whether a file was written while the root was built. Package managers and
// tar set times from archives, in whole seconds; only newly written files have nanoseconds. Layers
// have none either, so this cannot be found in images.
func hasBuildTime(e *Examiner, f *format.File) (bool, error) {
	if e.header.HasSourceDate || f.MTimeNsec == 0 {
		return false, nil
	}
	_, bounded := e.bound(f)
	return !bounded, nil
}

// newerThanSource reports whether the source date determines the file's time.
func newerThanSource(e *Examiner, f *format.File) (bool, error) {
	if !e.header.HasSourceDate {
		return false, nil
	}
	mtime := f.MTime
	if clamp, bounded := e.bound(f); bounded {
		mtime = min(mtime, clamp)
	}
	return mtime > e.header.SourceDate, nil
}

// The header of compiled Python: the version's magic number followed by "\r\n", flags since Python
// 3.7 (PEP 552), and the source's time if the flags are 0. All numbers are little-endian.
const (
	pycHeader = 12 // bytes, to the end of the time
	// Magic numbers below magicFlags belong to Python 3.0 to 3.6, those from magicPython2 on to
	// Python 2: both have the time in place of the flags. PyPy's numbers, below magicPython3, have
	// flags.
	magicPython3 = 3000
	magicFlags   = 3390
	magicPython2 = 20121
)

// hasPycTime reports whether a file is compiled Python with a time in it that changes between
// builds.
func hasPycTime(e *Examiner, f *format.File) (bool, error) {
	if f.Type != format.TypeFile || f.Size < pycHeader || !strings.HasSuffix(f.Path, ".pyc") && !strings.HasSuffix(f.Path, ".pyo") {
		return false, nil
	}
	if _, bounded := e.bound(f); bounded {
		return false, nil // its source has the same limit
	}
	data, err := e.head(f, pycHeader)
	if err != nil {
		return false, err
	}
	time, timed := pycTime(data)
	if e.header.HasSourceDate && time <= e.header.SourceDate {
		return false, nil
	}
	return timed, nil
}

// pycTime returns the time in a compiled Python header, in Unix seconds; false if it is not such a
// header or has a hash instead of a time.
func pycTime(data []byte) (time int64, timed bool) {
	if len(data) < pycHeader || data[2] != '\r' || data[3] != '\n' {
		return 0, false
	}
	first, second := binary.LittleEndian.Uint32(data[4:]), binary.LittleEndian.Uint32(data[8:])
	magic := binary.LittleEndian.Uint16(data)
	if magic >= magicPython2 || magic >= magicPython3 && magic < magicFlags {
		return int64(first), true
	}
	return int64(second), first == 0
}
