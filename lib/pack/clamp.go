package pack

import (
	"slices"
	"strings"

	"chunkah/format"
)

// clamp settles all times. A file's mtime is bounded by its component's build
// time, or where that is not known by the newest regular file of the component,
// which leaves it alone unless it is something else that is newer; and by the
// source date. Nothing outside the component has a say, so that a change
// elsewhere leaves its layer alone.
func (t *tree) clamp() {
	for _, c := range t.components {
		c.clamp = t.bound(t.componentClamp(c))
		c.record.MtimeClamp, c.record.HasMtimeClamp = c.clamp, true
		for _, i := range c.files {
			if f := t.files[i]; f.Type != format.TypeDir {
				f.MTime, f.MTimeNsec = min(f.MTime, c.clamp), 0
			}
		}
	}
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
	return 0 // nothing but directories, whose own times do not count
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

// controlXattrs only tell chunkah where a file belongs.
var controlXattrs = map[string]bool{"user.component": true, "user.update-interval": true}

// DropsXattr reports whether an xattr only tells chunkah where a file belongs, and is not
// among those to keep.
func DropsXattr(name string, keep []string) bool {
	return (controlXattrs[name] || strings.HasPrefix(name, "user.chunkah.")) && !slices.Contains(keep, name)
}

// strip takes the control xattrs off, apart from those to keep, and counts them.
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
