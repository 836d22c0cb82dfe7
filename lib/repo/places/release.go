package places

import (
	"slices"
	"time"

	"chunkah/lib/assign"
)

const (
	// earliest is 1990 in Unix seconds. Builds that are reproducible date files 1980 or 1985, which
	// is not a release.
	earliest = 631_152_000
	// slack allows for records that give no time zone, in seconds.
	slack = 86_400
	// maxReleases bounds the releases of one component, which can have many packages. The latest
	// count.
	maxReleases = 1024
)

// Released adds the time when the installed version of a package was released to the updates of
// its component. A record of the package gives the time. A release after the record was written, or
// before 1990, is an error or a placeholder and is ignored.
func (c *Collector) Released(p *assign.Package, record int, at time.Time) {
	unix := at.Unix()
	if unix < earliest || unix > c.tree.Files[record].MTime+slack {
		return
	}
	list := p.Component.Updates
	i, known := slices.BinarySearch(list, unix)
	if known {
		return
	}
	list = slices.Insert(list, i, unix)
	p.Component.Updates = list[max(0, len(list)-maxReleases):]
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
