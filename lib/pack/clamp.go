package pack

import (
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/group"
)

// clamp clamps the times of components that come from packages to the build times of the packages.
// For all other components it determines the clamp: the time of the component's newest regular
// file, or the source date if that is earlier. Files outside a component are ignored, so that
// changes elsewhere do not change its layer.
func (t *tree) clamp() {
	for _, c := range t.components {
		c.clamp = t.componentClamp(c)
		if c.bounded = c.record.HasMtimeClamp; c.bounded {
			t.bind(c)
		} else {
			t.boundTimes(c)
		}
	}
}

// boundTimes applies the source date to a component that does not come from a package. If the time
// of its newest file needs extra space in a tar, its files keep their own times.
func (t *tree) boundTimes(c *component) {
	c.clamp = t.bound(c.clamp)
	if c.odd = !plainTime(c.clamp); c.odd {
		c.bounded = true
		t.bind(c)
	}
}

// bind clamps the times of a component's files.
func (t *tree) bind(c *component) {
	for _, i := range c.files {
		if f := t.files[i]; f.Type != format.TypeDir {
			f.MTime, f.MTimeNsec = min(f.MTime, c.clamp), 0
		}
	}
}

// plainTime reports whether a time fits into the field of a tar header, so that it needs no extra
// space.
func plainTime(mtime int64) bool { return mtime >= 0 && mtime < 1<<33 }

// date sets the times of components without an mtime clamp. A component whose contents equal those
// in the previous image keeps its time, so that its layer keeps its digest. This requires that all
// its files have the same time. If the contents are unknown, files keep their own times up to the
// clamp. date returns how many components kept their time.
func (t *tree) date(prev *group.Previous) (kept int) {
	var before map[string]group.Dated
	if prev != nil {
		before = prev.Times
	}
	for _, c := range t.components {
		if !c.bounded {
			was := before[c.record.Name]
			if c.contents != "" && c.contents == was.Contents && plainTime(was.Time) && plainTime(t.bound(was.Time)) &&
				t.bound(was.Time) >= t.bound(t.newestOwn(c)) {
				c.clamp = t.bound(was.Time)
				if c.clamp == was.Time {
					kept++
				}
			}
			for _, i := range c.files {
				if f := t.files[i]; c.contents != "" && f.Type != format.TypeDir && !t.digests.ownTime(f) {
					f.MTime = c.clamp
				}
			}
			t.bind(c)
		}
		c.record.MtimeClamp, c.record.HasMtimeClamp = c.clamp, true
	}
	return kept
}

// newestOwn returns the newest time that a file of the component must keep, or 0 if no file must
// keep its time. If the previous image was built with an earlier source date, its time would make
// compiled Python stale.
func (t *tree) newestOwn(c *component) (newest int64) {
	for _, i := range c.files {
		if f := t.files[i]; t.digests.ownTime(f) {
			newest = max(newest, f.MTime)
		}
	}
	return newest
}

func (t *tree) componentClamp(c *component) int64 {
	if c.record.HasMtimeClamp {
		return c.record.MtimeClamp
	}
	newest, found := int64(0), false
	for _, kind := range []func(format.Type) bool{isRegular, isNoDir} {
		for _, i := range c.files {
			if f := t.files[i]; kind(f.Type) && (!found || f.MTime > newest) {
				newest, found = f.MTime, true
			}
		}
		if found {
			return newest
		}
	}
	return 0 // only directories, whose own times are ignored
}

func isRegular(t format.Type) bool { return t == format.TypeFile }
func isNoDir(t format.Type) bool   { return t != format.TypeDir }

// bound applies the source date.
func (t *tree) bound(mtime int64) int64 {
	if t.header.HasSourceDate {
		return min(mtime, t.header.SourceDate)
	}
	return mtime
}

// controlXattrs only specify the component of a file.
var controlXattrs = map[string]bool{"user.component": true, "user.update-interval": true}

// DropsXattr reports whether an xattr only specifies the component of a file, and is not in keep.
func DropsXattr(name string, keep []string) bool {
	return (controlXattrs[name] || strings.HasPrefix(name, "user.chunkah.")) && !slices.Contains(keep, name)
}

// strip removes the control xattrs, except those in keep, and counts them.
func (t *tree) strip(keep []string) map[string]int64 {
	stripped := make(map[string]int64)
	for _, f := range t.files {
		kept := f.Xattrs[:0]
		for _, x := range f.Xattrs {
			if DropsXattr(x.Name, keep) {
				stripped[x.Name]++
				continue
			}
			kept = append(kept, x)
		}
		f.Xattrs = kept
	}
	return stripped
}
