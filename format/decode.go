package format

// decoder reads the values of one record in one encoding. It keeps its first error. After an error
// it returns empty values, so that loops end and the caller checks failed only once. The error is
// errShort if the buffer ends inside the record. All other errors are the same regardless of how
// many more bytes arrive.
type decoder interface {
	// reset makes the decoder start with the record at the front of buf.
	reset(buf []byte)
	// end returns the length of the record in bytes.
	end() int
	// between skips white space between records.
	between(buf []byte) []byte
	newScanner() scanner

	beginMap()
	// nextKey returns the next key of the map, or false at its end.
	nextKey() ([]byte, bool)
	beginList()
	nextItem() bool
	// present reports whether the value is not null. It skips a null.
	present() bool
	// text returns a string as bytes. Like a key, the bytes are valid until the next call.
	text(most int) []byte
	// bytes returns bytes that the caller owns.
	bytes(most int) []byte
	integer() int64
	boolean() bool

	fail(err error)
	failed() error
}

// fields keeps track of the fields of a record that were already read, to find duplicates, and of
// those that had a value. A null counts as absent.
type fields struct {
	d    decoder
	kind kind
	seen uint32
	set  uint32
	name string // the field whose value is being read
}

// next returns the next key of the record, or false at its end.
func (s *fields) next() ([]byte, bool) {
	if s.name != "" {
		if err := s.d.failed(); err != nil {
			inField(err, s.name)
			return nil, false
		}
		s.name = ""
	}
	return s.d.nextKey()
}

// once reports whether the field with this number and name has a value that must be read.
func (s *fields) once(n int, name string) bool {
	if s.seen&(1<<n) != 0 {
		s.d.fail(valuef("%s has %q twice", s.kind, name))
		return false
	}
	s.seen |= 1 << n
	if !s.d.present() {
		return false
	}
	s.set |= 1 << n
	s.name = name
	return true
}

// The next methods read a field that has this number and name. They set its variable if the field
// has a value.

func (s *fields) text(n int, name string, to *string, most int) {
	if s.once(n, name) {
		*to = string(s.d.text(most))
	}
}

func (s *fields) bytes(n int, name string, to *[]byte, most int) {
	if s.once(n, name) {
		*to = s.d.bytes(most)
	}
}

// integer also reports whether the field has a value.
func (s *fields) integer(n int, name string, to *int64) bool {
	if !s.once(n, name) {
		return false
	}
	*to = s.d.integer()
	return true
}

func (s *fields) digest(n int, name string, to *string) {
	if s.once(n, name) {
		*to = decodeDigest(s.d)
	}
}

func (s *fields) texts(n int, name string, to *[]string, in *interner) {
	if s.once(n, name) {
		*to = decodeTexts(s.d, in)
	}
}

func (s *fields) integers(n int, name string, to *[]int64) {
	if s.once(n, name) {
		*to = decodeInts(s.d)
	}
}

// readNumber reads a number from 0 to most.
func readNumber[T ~int32 | ~int64 | ~uint16 | ~uint32](s *fields, n int, name string, to *T, most int64) {
	if s.once(n, name) {
		*to = T(bounded(s.d, most))
	}
}

func (s *fields) has(n int) bool { return s.set&(1<<n) != 0 }

func (s *fields) unknown(key []byte) {
	s.d.fail(valuef("unknown field %q in a %s", clip(string(key)), s.kind))
}

// decode reads one record: a map with one key, its kind. It fills in defaults. The caller validates
// the record.
func decode(d decoder, in *interner) Record {
	d.beginMap()
	key, ok := d.nextKey()
	if !ok {
		d.fail(valuef("record is empty: expected one key, the record kind"))
		return nil
	}
	var rec Record
	switch string(key) {
	case "header":
		rec = decodeHeader(d, in)
	case "file":
		rec = decodeFile(d, in)
	case "component":
		rec = decodeComponent(d)
	case "layer":
		rec = decodeLayer(d, in)
	case "end":
		decodeEnd(d)
		rec = End{}
	default:
		d.fail(valuef("unknown record kind %q", clip(string(key))))
		return nil
	}
	if key, more := d.nextKey(); more {
		d.fail(valuef("record contains a second key, %q", clip(string(key))))
	}
	return rec
}

func decodeHeader(d decoder, in *interner) *Header {
	h := &Header{Version: Version}
	var rootRaw []byte
	s := fields{d: d, kind: kindHeader}
	for d.beginMap(); ; {
		key, ok := s.next()
		if !ok {
			break
		}
		switch string(key) {
		case nameVersion:
			s.integer(0, nameVersion, &h.Version)
		case nameStage:
			s.text(1, nameStage, &h.Stage, MaxText)
		case nameRoot:
			s.text(2, nameRoot, &h.Root, 3*MaxPath)
		case nameRootRaw:
			s.bytes(3, nameRootRaw, &rootRaw, MaxPath)
		case nameSources:
			s.texts(6, nameSources, &h.Sources, in)
		case nameKeepLayers:
			readNumber(&s, 7, nameKeepLayers, &h.KeepLayers, MaxList)
		case namePrevious:
			s.text(8, namePrevious, &h.Previous, MaxText)
		case nameSourceDate:
			h.HasSourceDate = s.integer(4, nameSourceDate, &h.SourceDate)
		case nameNewestMtime:
			h.HasNewestMtime = s.integer(5, nameNewestMtime, &h.NewestMtime)
		default:
			// For a stream of a later version, an unknown version is a clearer error than an
			// unknown field.
			if h.Version != Version {
				d.fail(h.Validate())
			}
			s.unknown(key)
		}
	}
	if s.has(8) && h.Previous == "" {
		d.fail(valuef("the name of the previous image is empty"))
	}
	if s.has(3) {
		h.Root = rawPath(d, nameRoot, h.Root, rootRaw)
	}
	return h
}

func decodeComponent(d decoder) *Component {
	c := &Component{}
	s := fields{d: d, kind: kindComponent}
	for d.beginMap(); ; {
		key, ok := s.next()
		if !ok {
			break
		}
		switch string(key) {
		case nameName:
			s.text(0, nameName, &c.Name, MaxText)
		case nameUpdates:
			s.integers(1, nameUpdates, &c.Updates)
		case nameIntervalDays:
			readNumber(&s, 2, nameIntervalDays, &c.IntervalDays, MaxInt)
		case nameMtimeClamp:
			c.HasMtimeClamp = s.integer(3, nameMtimeClamp, &c.MtimeClamp)
		case nameFingerprint:
			s.text(4, nameFingerprint, &c.Fingerprint, MaxText)
		default:
			s.unknown(key)
		}
	}
	if !s.has(0) {
		d.fail(valuef("component has no name"))
	}
	return c
}

func decodeLayer(d decoder, in *interner) *Layer {
	l := &Layer{Index: indexAbsent}
	s := fields{d: d, kind: kindLayer}
	for d.beginMap(); ; {
		key, ok := s.next()
		if !ok {
			break
		}
		switch string(key) {
		case nameIndex:
			readNumber(&s, 0, nameIndex, &l.Index, MaxInt)
		case nameComponents:
			s.texts(1, nameComponents, &l.Components, in)
		case nameFingerprints:
			s.texts(2, nameFingerprints, &l.Fingerprints, in)
		case nameStabilityPPM:
			readNumber(&s, 3, nameStabilityPPM, &l.StabilityPPM, 1_000_000)
		case nameTimes:
			s.integers(4, nameTimes, &l.Times)
		case nameContents:
			s.texts(5, nameContents, &l.Contents, in)
		case nameDiffID:
			s.digest(6, nameDiffID, &l.DiffID)
		case nameEntries:
			s.digest(7, nameEntries, &l.Entries)
		case nameUpdated:
			s.integers(8, nameUpdated, &l.Updated)
		case nameSurprises:
			s.integers(9, nameSurprises, &l.Surprises)
		case nameRewritten:
			s.texts(10, nameRewritten, &l.Rewritten, in)
		case nameReasons:
			s.texts(11, nameReasons, &l.Reasons, in)
		default:
			s.unknown(key)
		}
	}
	return l
}

// indexAbsent is the index of a layer record without an index. The reader replaces it by counting.
const indexAbsent = -1

func decodeEnd(d decoder) {
	d.beginMap()
	if key, ok := d.nextKey(); ok {
		d.fail(valuef("unknown field %q in an end record", clip(string(key))))
	}
}

func decodeTexts(d decoder, in *interner) []string {
	var list []string
	for d.beginList(); d.nextItem(); {
		b := d.text(MaxText)
		if list == nil {
			list = in.list(b) // the next call copies it
			continue
		}
		if list = append(list, in.text(b)); len(list) > MaxList {
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

// decodeDigest reads a digest. A digest is never empty.
func decodeDigest(d decoder) string {
	text := d.text(MaxText)
	if d.failed() == nil && !isDigest(text) {
		d.fail(valuef("%q is not a digest: expected sha256: and 64 lower-case hex digits", clip(string(text))))
	}
	return string(text)
}

// bounded reads an integer from 0 to most.
func bounded(d decoder, most int64) int64 {
	n := d.integer()
	if n < 0 || n > most {
		d.fail(valuef("%d is not in 0..%d", n, most))
		return 0
	}
	return n
}
