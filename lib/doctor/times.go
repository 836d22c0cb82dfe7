package doctor

import (
	"chunkah/format"
	"chunkah/lib/pyc"
)

// bound reports whether the file's component has an mtime clamp.
func (e *Examiner) bound(f *format.File) bool {
	if len(f.Components) == 0 {
		return false
	}
	_, bounded := e.bounded[f.Components[0]]
	return bounded
}

// hasBuildTime reports whether a file was written while the root was built. Package managers and
// tar set times from archives in whole seconds, so only newly written files have nanoseconds. Times
// in layers have no nanoseconds either, so this check finds nothing in images.
func hasBuildTime(e *Examiner, f *format.File) (bool, error) {
	if e.header.HasSourceDate || f.MTimeNsec == 0 {
		return false, nil
	}
	return !e.bound(f), nil
}

// newerThanSource reports whether the file's mtime is clamped to the source date. The source date
// does not apply to files whose component has an mtime clamp.
func newerThanSource(e *Examiner, f *format.File) (bool, error) {
	return e.header.HasSourceDate && !e.bound(f) && f.MTime > e.header.SourceDate, nil
}

// hasPycTime reports whether a compiled Python file contains a timestamp that changes between
// builds.
func hasPycTime(e *Examiner, f *format.File) (bool, error) {
	if f.Type != format.TypeFile || f.Size < pyc.HeaderSize || !pyc.Is(f.Path) {
		return false, nil
	}
	if e.bound(f) {
		return false, nil // its source file has the same clamp
	}
	data, err := e.head(f, pyc.HeaderSize)
	if err != nil {
		return false, err
	}
	time, timed := pyc.Time(data)
	if e.header.HasSourceDate && int64(time) <= e.header.SourceDate {
		return false, nil
	}
	return timed, nil
}
