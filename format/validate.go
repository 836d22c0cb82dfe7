package format

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxDevice is the largest major or minor number of a device. A tar header has the same limit.
// Linux uses 12 and 20 bits.
const maxDevice = 1<<21 - 1

// maxID is the largest user or group ID. To the kernel, 2^32-1 means "no change".
const maxID = 1<<32 - 2

// Validate returns the fault of a file record, or nil if it is valid.
func (f *File) Validate() error {
	if err := checkPath(f.Path); err != nil {
		return err
	}
	path := clip(f.Path)
	if !f.Type.valid() {
		return valuef("the type of %q is unknown", path)
	}
	if f.Path == "/" && f.Type != TypeDir {
		return valuef("the root is a %s, not a dir", f.Type)
	}
	if f.Mode > 0o7777 {
		return valuef("mode %#o of %q is not in 0..07777", f.Mode, path)
	}
	if err := f.validateKind(path); err != nil {
		return err
	}
	if f.UID > maxID || f.GID > maxID {
		return valuef("owner %d:%d of %q is not in 0..%d", f.UID, f.GID, path, int64(maxID))
	}
	if f.MTimeNsec < 0 || f.MTimeNsec > 999_999_999 {
		return valuef("mtime_nsec %d of %q is not in 0..999999999", f.MTimeNsec, path)
	}
	if !inRange(f.MTime) {
		return limitf("mtime %d of %q is beyond 2^53-1", f.MTime, path)
	}
	if f.Stamp != "" {
		if err := checkText("stamp", f.Stamp); err != nil {
			return err
		}
	}
	if err := f.validateXattrs(path); err != nil {
		return err
	}
	return checkNames(f.Components)
}

// validateKind checks the fields that are allowed only for some types.
func (f *File) validateKind(path string) error {
	switch {
	case f.Type != TypeFile && f.Size != 0:
		return valuef("%q is a %s, but has a size", path, f.Type)
	case f.Type == TypeFile && (f.Size < SizeUnknown || f.Size > MaxInt):
		return valuef("size %d of %q is out of range", f.Size, path)
	case f.Type != TypeFile && f.Stamp != "":
		return valuef("%q is a %s, but has a stamp", path, f.Type)
	case f.Type != TypeFile && f.Digest.Known():
		return valuef("%q is a %s, but has a digest", path, f.Type)
	case f.Type != TypeSymlink && f.Target != "":
		return valuef("%q is a %s, but has a target", path, f.Type)
	case f.Type == TypeSymlink && f.Target == "":
		return valuef("symlink %q has no target", path)
	case len(f.Target) > MaxTarget:
		return limitf("target of %q is longer than %d bytes", path, MaxTarget)
	case strings.IndexByte(f.Target, 0) >= 0:
		return valuef("target of %q has a NUL byte", path)
	case f.Type == TypeDir && f.Hardlink != 0:
		return valuef("directory %q is in a hard-link group", path)
	case f.Hardlink < 0 || f.Hardlink > MaxInt:
		return valuef("hard-link group %d of %q is out of range", f.Hardlink, path)
	case f.DevMajor > maxDevice || f.DevMinor > maxDevice:
		return valuef("device numbers %d, %d of %q are not in 0..%d", f.DevMajor, f.DevMinor, path, maxDevice)
	case f.Type != TypeChar && f.Type != TypeBlock && (f.DevMajor != 0 || f.DevMinor != 0):
		return valuef("%q is a %s, but has device numbers", path, f.Type)
	case f.Type == TypeChar && f.DevMajor == 0 && f.DevMinor == 0:
		return valuef("%q is the char device 0, 0, which overlayfs treats as a deleted file", path)
	case f.Type == TypeWhiteout && (f.Hardlink != 0 || len(f.Xattrs) > 0):
		return valuef("whiteout %q has a hard-link group or xattrs: a whiteout can have neither", path)
	case f.Type != TypeDir && f.Implied:
		return valuef("%q is a %s, but only a dir can be implied", path, f.Type)
	}
	return nil
}

func (f *File) validateXattrs(path string) error {
	if len(f.Xattrs) > MaxXattrs {
		return limitf("%q has more than %d xattrs", path, MaxXattrs)
	}
	for i, x := range f.Xattrs {
		switch {
		case x.Name == "" || strings.IndexByte(x.Name, 0) >= 0:
			return valuef("xattr name %q of %q is not valid", clip(x.Name), path)
		case strings.IndexByte(x.Name, '=') >= 0:
			return valuef("xattr name %q of %q contains '=', which a tar cannot store", clip(x.Name), path)
		case len(x.Name) > MaxXattrName:
			return limitf("an xattr name of %q is longer than %d bytes", path, MaxXattrName)
		case !utf8.ValidString(x.Name):
			return valuef("xattr name %q of %q is not UTF-8", clip(x.Name), path)
		case len(x.Value) > MaxXattrValue:
			return limitf("xattr %q of %q is longer than %d bytes", clip(x.Name), path, MaxXattrValue)
		case i > 0 && f.Xattrs[i-1].Name == x.Name:
			return valuef("xattr %q of %q occurs twice", clip(x.Name), path)
		case i > 0 && f.Xattrs[i-1].Name > x.Name:
			return valuef("xattrs of %q are not sorted", path)
		}
	}
	return nil
}

// Validate returns the fault of a component record.
func (c *Component) Validate() error {
	if err := checkText("component name", c.Name); err != nil {
		return err
	}
	if len(c.Updates) > MaxList {
		return limitf("component %q has more than %d updates", clip(c.Name), MaxList)
	}
	for _, u := range c.Updates {
		if !inRange(u) {
			return limitf("an update of component %q is beyond 2^53-1", clip(c.Name))
		}
	}
	if c.IntervalDays < 0 || c.IntervalDays > MaxInt {
		return valuef("interval_days %d of component %q is out of range", c.IntervalDays, clip(c.Name))
	}
	if !inRange(c.MtimeClamp) {
		return limitf("mtime_clamp of component %q is beyond 2^53-1", clip(c.Name))
	}
	if c.Fingerprint != "" {
		return checkText("fingerprint", c.Fingerprint)
	}
	return nil
}

// Validate returns the fault of a layer record.
func (l *Layer) Validate() error {
	if l.Index < 0 || l.Index > MaxInt {
		return valuef("layer index %d is out of range", l.Index)
	}
	if err := checkNames(l.Components); err != nil {
		return err
	}
	if n := len(l.Fingerprints); n != 0 && n != len(l.Components) {
		return valuef("layer %d has %d fingerprints for %d components", l.Index, n, len(l.Components))
	}
	if err := l.validateTimes(); err != nil {
		return err
	}
	if err := l.validateLearned(); err != nil {
		return err
	}
	if err := checkOptional("fingerprint", l.Fingerprints); err != nil {
		return err
	}
	if err := checkOptional("digest of contents", l.Contents); err != nil {
		return err
	}
	if err := l.validateDigests(); err != nil {
		return err
	}
	if l.StabilityPPM < 0 || l.StabilityPPM > 1_000_000 {
		return valuef("stability_ppm %d of layer %d is not in 0..1000000", l.StabilityPPM, l.Index)
	}
	return nil
}

// validateDigests checks the digests, and the reasons for rewritten layers.
func (l *Layer) validateDigests() error {
	isAbsent := func(d string) bool { return d == "" }
	for _, d := range slices.Concat(slices.DeleteFunc([]string{l.DiffID, l.Entries}, isAbsent), l.Rewritten) {
		if !isDigest([]byte(d)) {
			return valuef("%q in layer %d is not a digest: expected sha256: and 64 lower-case hex digits", clip(d), l.Index)
		}
	}
	if len(l.Reasons) != len(l.Rewritten) {
		return valuef("layer %d has %d reasons for %d rewritten layers", l.Index, len(l.Reasons), len(l.Rewritten))
	}
	for _, reason := range l.Reasons {
		if err := checkText("reason", reason); err != nil {
			return err
		}
	}
	return nil
}

// validateTimes checks the components' lists of times and contents.
func (l *Layer) validateTimes() error {
	if n := len(l.Times); n != 0 && n != len(l.Components) {
		return valuef("layer %d has %d times for %d components", l.Index, n, len(l.Components))
	}
	if n := len(l.Contents); n != 0 && n != len(l.Components) {
		return valuef("layer %d has %d contents for %d components", l.Index, n, len(l.Components))
	}
	for _, time := range l.Times {
		if !inRange(time) {
			return limitf("a time of layer %d is beyond 2^53-1", l.Index)
		}
	}
	return nil
}

// maxSurprises is the largest value of a component's surprises, which have 32 bits.
const maxSurprises = 1<<32 - 1

// validateLearned checks the components' lists of updates and surprises.
func (l *Layer) validateLearned() error {
	if n := len(l.Updated); n != 0 && n != len(l.Components) {
		return valuef("layer %d has %d days of updates for %d components", l.Index, n, len(l.Components))
	}
	if n := len(l.Surprises); n != 0 && n != len(l.Components) {
		return valuef("layer %d has %d surprises for %d components", l.Index, n, len(l.Components))
	}
	for _, day := range l.Updated {
		if day < 0 || day > MaxInt {
			return valuef("day %d of an update in layer %d is out of range", day, l.Index)
		}
	}
	for _, s := range l.Surprises {
		if s < 0 || s > maxSurprises {
			return valuef("surprises %d in layer %d are not in 0..%d", s, l.Index, maxSurprises)
		}
	}
	return nil
}

// Validate returns the fault of a header.
func (h *Header) Validate() error {
	if h.Version != Version {
		return faultf(ClassVersion, "unsupported version %d: expected version %d", h.Version, Version)
	}
	switch h.Stage {
	case "", StageScan, StageAssign, StagePack:
	default:
		return valuef("stage %q is not one of scan, assign and pack", clip(h.Stage))
	}
	if h.Root != "" {
		if h.Root[0] != '/' || strings.IndexByte(h.Root, 0) >= 0 {
			return valuef("root %q is not an absolute path", clip(h.Root))
		}
		if len(h.Root) > MaxPath {
			return limitf("root is longer than %d bytes", MaxPath)
		}
	}
	if err := h.validateSources(); err != nil {
		return err
	}
	if h.Previous != "" {
		if err := checkText("previous image", h.Previous); err != nil {
			return err
		}
	}
	if !inRange(h.SourceDate) || !inRange(h.NewestMtime) {
		return limitf("a time in the header is beyond 2^53-1")
	}
	return nil
}

func (h *Header) validateSources() error {
	if len(h.Sources) > 0 && h.Root != "" {
		return valuef("the header contains both a root and sources")
	}
	if len(h.Sources) > MaxList {
		return limitf("a list has more than %d sources", MaxList)
	}
	for _, source := range h.Sources {
		if err := checkText("source", source); err != nil {
			return err
		}
	}
	switch {
	case h.KeepLayers < 0 || h.KeepLayers > MaxList:
		return valuef("keep_layers %d is not in 0..%d", h.KeepLayers, MaxList)
	case h.KeepLayers > 0 && len(h.Sources) == 0:
		return valuef("keep_layers is %d, but the header lists no source of these layers", h.KeepLayers)
	}
	return nil
}

// Validate always returns nil: an end record has no fields.
func (End) Validate() error { return nil }

// checkNames checks a list of component names.
func checkNames(names []string) error {
	if len(names) > MaxList {
		return limitf("a list has more than %d components", MaxList)
	}
	for _, name := range names {
		if err := checkText("component name", name); err != nil {
			return err
		}
	}
	return nil
}

// checkOptional checks a list of strings in which an empty string means unknown.
func checkOptional(what string, list []string) error {
	for _, s := range list {
		if s == "" {
			continue
		}
		if err := checkText(what, s); err != nil {
			return err
		}
	}
	return nil
}

func checkText(what, s string) error {
	switch {
	case s == "":
		return valuef("a %s is empty", what)
	case len(s) > MaxText:
		return limitf("a %s is longer than %d bytes", what, MaxText)
	case !utf8.ValidString(s):
		return valuef("%s %q is not UTF-8", what, clip(s))
	}
	return nil
}

// digestPrefix starts every digest in the stream, because SHA-256 is the only algorithm.
const digestPrefix = "sha256:"

// isDigest reports whether a string is a digest in its only valid form.
func isDigest(text []byte) bool {
	if len(text) != len(digestPrefix)+64 || string(text[:len(digestPrefix)]) != digestPrefix {
		return false
	}
	for _, c := range text[len(digestPrefix):] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func inRange(n int64) bool { return n >= -MaxInt && n <= MaxInt }

// clip shortens a quotation in an error message.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// SortXattrs sorts extended attributes as the format requires.
func SortXattrs(x []Xattr) {
	slices.SortStableFunc(x, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) })
}
