package doctor

import (
	"chunkah/format"
	"chunkah/lib/pyc"
)

// bound returns the newest time that a file can have by its component.
func (e *Examiner) bound(f *format.File) (clamp int64, bounded bool) {
	if len(f.Components) == 0 {
		return 0, false
	}
	clamp, bounded = e.bounded[f.Components[0]]
	return clamp, bounded
}

// builtNow reports whether a file was written when this root was made, and keeps that
// time. Package managers and tar set times from archives, in whole seconds; only what
// is just written has nanoseconds. A layer has none either, so that this cannot be told
// of an image.
func builtNow(e *Examiner, f *format.File) (bool, error) {
	if e.header.HasSourceDate || f.MTimeNsec == 0 {
		return false, nil
	}
	_, bounded := e.bound(f)
	return !bounded, nil
}

// newerThanSource reports whether the source date is what decides about a file's time.
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

// timedPyc reports whether a file is compiled Python that has a time in it which is
// not always the same.
func timedPyc(e *Examiner, f *format.File) (bool, error) {
	if f.Type != format.TypeFile || f.Size < pyc.HeaderSize || !pyc.Is(f.Path) {
		return false, nil
	}
	if _, bounded := e.bound(f); bounded {
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
