package doctor

import (
	"chunkah/format"
	"chunkah/lib/pyc"
)

// bound reports whether a package bounds a file's time.
func (e *Examiner) bound(f *format.File) bool {
	if len(f.Components) == 0 {
		return false
	}
	_, bounded := e.bounded[f.Components[0]]
	return bounded
}

// builtNow reports whether a file was written when this root was made, and keeps that
// time. Package managers and tar set times from archives, in whole seconds; only what
// is just written has nanoseconds. A layer has none either, so that this cannot be told
// of an image.
func builtNow(e *Examiner, f *format.File) (bool, error) {
	if e.header.HasSourceDate || f.MTimeNsec == 0 {
		return false, nil
	}
	return !e.bound(f), nil
}

// newerThanSource reports whether the source date decides about a file's time. It has no say
// in the times of packages.
func newerThanSource(e *Examiner, f *format.File) (bool, error) {
	return e.header.HasSourceDate && !e.bound(f) && f.MTime > e.header.SourceDate, nil
}

// timedPyc reports whether a file is compiled Python that has a time in it which is
// not always the same.
func timedPyc(e *Examiner, f *format.File) (bool, error) {
	if f.Type != format.TypeFile || f.Size < pyc.HeaderSize || !pyc.Is(f.Path) {
		return false, nil
	}
	if e.bound(f) {
		return false, nil // so is its source, which it goes with
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
