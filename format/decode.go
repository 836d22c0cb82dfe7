package format

import (
	"sort"
)

// decoder reads the values of one record in one encoding. Its first error is
// kept; what it returns after that is empty, so that loops end by themselves and
// the caller looks at failed once.
type decoder interface {
	beginMap()
	// nextKey returns the next key of the map, false at its end. The bytes are
	// good until the next call.
	nextKey() ([]byte, bool)
	beginList()
	nextItem() bool
	// null consumes a null, if one is next.
	null() bool
	text(most int) string
	bytes(most int) []byte
	integer() int64
	boolean() bool

	fail(err error)
	failed() error
}

// fields notes which fields of a record were seen, to find those that are there
// twice. A null counts as absent.
type fields struct {
	d    decoder
	kind kind
	seen uint32
}

// once says whether field number n, of that name, is to be read now.
func (s *fields) once(n int, name string) bool {
	if s.seen&(1<<n) != 0 {
		s.d.fail(valuef("%s has %q twice", s.kind, name))
		return false
	}
	s.seen |= 1 << n
	if s.d.null() {
		s.seen &^= 1 << n
		return false
	}
	return s.d.failed() == nil
}

func (s *fields) has(n int) bool { return s.seen&(1<<n) != 0 }

func (s *fields) unknown(key []byte) {
	s.d.fail(valuef("field %q is not one of a %s", clip(string(key)), s.kind))
}

// decode reads one record: a map of one key, its kind. Defaults are filled in;
// whether the record is valid is up to the caller.
func decode(d decoder, in *interner) Record {
	d.beginMap()
	key, ok := d.nextKey()
	if !ok {
		d.fail(valuef("record is empty: it needs one key, its kind"))
		return nil
	}
	var rec Record
	switch string(key) {
	case "header":
		rec = decodeHeader(d)
	case "file":
		rec = decodeFile(d, in)
	case "component":
		rec = decodeComponent(d)
	case "layer":
		rec = decodeLayer(d, in)
	case "end":
		rec = decodeEnd(d)
	default:
		d.fail(valuef("record kind %q is unknown", clip(string(key))))
		return nil
	}
	if key, more := d.nextKey(); more {
		d.fail(valuef("record has a second key %q", clip(string(key))))
	}
	return rec
}

func decodeHeader(d decoder) *Header {
	h := &Header{Version: Version}
	var rootRaw []byte
	s := fields{d: d, kind: kindHeader}
	for d.beginMap(); ; {
		key, ok := d.nextKey()
		if !ok {
			break
		}
		switch string(key) {
		case nameVersion:
			if s.once(0, nameVersion) {
				h.Version = d.integer()
			}
		case nameStage:
			if s.once(1, nameStage) {
				h.Stage = d.text(MaxText)
			}
		case nameRoot:
			if s.once(2, nameRoot) {
				h.Root = d.text(3 * MaxPath)
			}
		case nameRootRaw:
			if s.once(3, nameRootRaw) {
				rootRaw = d.bytes(MaxPath)
			}
		case nameSourceDate:
			if s.once(4, nameSourceDate) {
				h.SourceDate, h.HasSourceDate = d.integer(), true
			}
		case nameNewestMtime:
			if s.once(5, nameNewestMtime) {
				h.NewestMtime, h.HasNewestMtime = d.integer(), true
			}
		default:
			// A field may be one of a later version: then that is what to say.
			if h.Version != Version {
				d.fail(h.Validate())
			}
			s.unknown(key)
		}
	}
	if s.has(3) {
		h.Root = rawPath(d, nameRoot, h.Root, rootRaw)
	}
	return h
}

func decodeFile(d decoder, in *interner) *File {
	f := &File{}
	var pathRaw, targetRaw []byte
	s := fields{d: d, kind: kindFile}
	for d.beginMap(); ; {
		key, ok := d.nextKey()
		if !ok {
			break
		}
		switch string(key) {
		case namePath:
			if s.once(0, namePath) {
				f.Path = d.text(3 * MaxPath)
			}
		case namePathRaw:
			if s.once(1, namePathRaw) {
				pathRaw = d.bytes(MaxPath)
			}
		case nameType:
			if s.once(2, nameType) {
				f.Type = Type(in.text(d.text(MaxText)))
			}
		case nameMode:
			if s.once(3, nameMode) {
				f.Mode = uint32(bounded(d, nameMode, 0o7777))
			}
		case nameUID:
			if s.once(4, nameUID) {
				f.UID = uint32(bounded(d, nameUID, maxID))
			}
		case nameGID:
			if s.once(5, nameGID) {
				f.GID = uint32(bounded(d, nameGID, maxID))
			}
		case nameSize:
			if s.once(6, nameSize) {
				f.Size = bounded(d, nameSize, MaxInt)
			}
		case nameMtime:
			if s.once(7, nameMtime) {
				f.MTime = d.integer()
			}
		case nameMtimeNsec:
			if s.once(8, nameMtimeNsec) {
				f.MTimeNsec = int32(bounded(d, nameMtimeNsec, 999_999_999))
			}
		case nameTarget:
			if s.once(9, nameTarget) {
				f.Target = d.text(3 * MaxTarget)
			}
		case nameTargetRaw:
			if s.once(10, nameTargetRaw) {
				targetRaw = d.bytes(MaxTarget)
			}
		case nameHardlink:
			if s.once(11, nameHardlink) {
				f.Hardlink = bounded(d, nameHardlink, MaxInt)
			}
		case nameDevMajor:
			if s.once(12, nameDevMajor) {
				f.DevMajor = uint32(bounded(d, nameDevMajor, maxDevice))
			}
		case nameDevMinor:
			if s.once(13, nameDevMinor) {
				f.DevMinor = uint32(bounded(d, nameDevMinor, maxDevice))
			}
		case nameXattrs:
			if s.once(14, nameXattrs) {
				f.Xattrs = decodeXattrs(d, in)
			}
		case nameComponents:
			if s.once(15, nameComponents) {
				f.Components = in.list(decodeTexts(d, in))
			}
		case nameImplied:
			if s.once(16, nameImplied) {
				f.Implied = d.boolean()
			}
		default:
			s.unknown(key)
		}
	}
	if s.has(1) {
		f.Path = rawPath(d, namePath, f.Path, pathRaw)
	}
	if s.has(10) {
		f.Target = rawPath(d, nameTarget, f.Target, targetRaw)
	}
	if !s.has(0) || !s.has(2) {
		d.fail(valuef("file %q has no %s", clip(f.Path), missing(!s.has(0), namePath, nameType)))
	}
	if !s.has(3) {
		f.Mode = defaultMode(f.Type)
	}
	if !s.has(6) && f.Type == TypeFile {
		f.Size = SizeUnknown
	}
	return f
}

// missing picks the first name if it is the one that is missing.
func missing(first bool, name, other string) string {
	if first {
		return name
	}
	return other
}

// defaultMode is the mode of a file whose record has none.
func defaultMode(t Type) uint32 {
	switch t {
	case TypeDir:
		return 0o755
	case TypeSymlink:
		return 0o777
	}
	return 0o644
}

func decodeXattrs(d decoder, in *interner) []Xattr {
	var list []Xattr
	for d.beginMap(); ; {
		key, ok := d.nextKey()
		if !ok {
			break
		}
		name := in.bytes(key)
		value := d.bytes(MaxXattrValue)
		if list = append(list, Xattr{name, value}); len(list) > MaxXattrs {
			d.fail(limitf("a file has more than %d xattrs", MaxXattrs))
		}
	}
	if !sort.SliceIsSorted(list, func(a, b int) bool { return list[a].Name < list[b].Name }) {
		SortXattrs(list)
	}
	return list
}

func decodeComponent(d decoder) *Component {
	c := &Component{}
	s := fields{d: d, kind: kindComponent}
	for d.beginMap(); ; {
		key, ok := d.nextKey()
		if !ok {
			break
		}
		switch string(key) {
		case nameName:
			if s.once(0, nameName) {
				c.Name = d.text(MaxText)
			}
		case nameUpdates:
			if s.once(1, nameUpdates) {
				c.Updates = decodeInts(d)
			}
		case nameIntervalDays:
			if s.once(2, nameIntervalDays) {
				c.IntervalDays = bounded(d, nameIntervalDays, MaxInt)
			}
		case nameMtimeClamp:
			if s.once(3, nameMtimeClamp) {
				c.MtimeClamp, c.HasMtimeClamp = d.integer(), true
			}
		case nameFingerprint:
			if s.once(4, nameFingerprint) {
				c.Fingerprint = d.text(MaxText)
			}
		default:
			s.unknown(key)
		}
	}
	return c
}

func decodeLayer(d decoder, in *interner) *Layer {
	l := &Layer{Index: indexAbsent}
	s := fields{d: d, kind: kindLayer}
	for d.beginMap(); ; {
		key, ok := d.nextKey()
		if !ok {
			break
		}
		switch string(key) {
		case nameIndex:
			if s.once(0, nameIndex) {
				l.Index = bounded(d, nameIndex, MaxInt)
			}
		case nameComponents:
			if s.once(1, nameComponents) {
				l.Components = decodeTexts(d, in)
			}
		case nameFingerprints:
			if s.once(2, nameFingerprints) {
				l.Fingerprints = decodeTexts(d, in)
			}
		case nameStabilityPPM:
			if s.once(3, nameStabilityPPM) {
				l.StabilityPPM = bounded(d, nameStabilityPPM, 1_000_000)
			}
		default:
			s.unknown(key)
		}
	}
	return l
}

// indexAbsent is the index of a layer record without one, until the reader
// counts it.
const indexAbsent = -1

func decodeEnd(d decoder) End {
	d.beginMap()
	if key, ok := d.nextKey(); ok {
		d.fail(valuef("field %q is not one of an end", clip(string(key))))
	}
	return End{}
}

func decodeTexts(d decoder, in *interner) []string {
	var list []string
	for d.beginList(); d.nextItem(); {
		if list = append(list, in.text(d.text(MaxText))); len(list) > MaxList {
			d.fail(limitf("a list has more than %d elements", MaxList))
		}
	}
	return list
}

func decodeInts(d decoder) []int64 {
	var list []int64
	for d.beginList(); d.nextItem(); {
		if list = append(list, d.integer()); len(list) > MaxList {
			d.fail(limitf("a list has more than %d elements", MaxList))
		}
	}
	return list
}

// bounded reads an integer in 0..most.
func bounded(d decoder, name string, most int64) int64 {
	n := d.integer()
	if n < 0 || n > most {
		d.fail(valuef("%s %d is not in 0..%d", name, n, most))
		return 0
	}
	return n
}

// rawPath returns the bytes that count where a name is not UTF-8, after checking
// that the text beside them shows the same name.
func rawPath(d decoder, name, text string, raw []byte) string {
	if Text(string(raw)) != text {
		d.fail(valuef("%s %q and %s_raw %q are not the same name", name, clip(text), name, clip(string(raw))))
		return ""
	}
	return string(raw)
}
