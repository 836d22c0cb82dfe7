package places

import (
	"slices"
	"time"

	"chunkah/format"
	"chunkah/lib/assign"
)

const (
	// earliest is the beginning of 1990 in Unix seconds. Reproducible builds often date files to
	// 1980 or 1985, which is not the time of a release.
	earliest = 631_152_000
	// slack, in seconds, allows for records that do not name a time zone.
	slack = 86_400
	// maxReleases is the largest number of releases of one component, which can contain many
	// packages. Only the latest releases are kept.
	maxReleases = 1024
)

// Released adds the release time of a package's installed version to the updates of its component.
// The time is read from the given record, and ignored unless CanRelease accepts it.
func (c *Collector) Released(p *assign.Package, record int, at time.Time) {
	if !CanRelease(c.tree.Files[record], at) {
		return
	}
	unix := at.Unix()
	list := p.Component.Updates
	i, known := slices.BinarySearch(list, unix)
	if known {
		return
	}
	list = slices.Insert(list, i, unix)
	p.Component.Updates = list[max(0, len(list)-maxReleases):]
}

// CanRelease reports whether a time that is read from a file can be the time of a release. A time
// after the file was written, or before 1990, is an error or a placeholder.
func CanRelease(f *format.File, at time.Time) bool {
	unix := at.Unix()
	return unix >= earliest && unix <= f.MTime+slack
}

// ParseTime parses a time in one of the layouts. It returns the zero time for anything else, which
// Released ignores.
func ParseTime(text string, layouts ...string) time.Time {
	for _, layout := range layouts {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	return time.Time{}
}
