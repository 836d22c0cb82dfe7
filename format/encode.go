package format

import "unicode/utf8"

// encoder writes the values of one record in one encoding. msgpack requires the length of a map or
// list before its elements.
type encoder interface {
	beginMap(n int)
	key(name string)
	endMap()
	beginList(n int)
	item()
	endList()
	text(s string)
	bytes(b []byte)
	integer(n int64)
	boolean(b bool)
}

// encode writes a valid record: a map with one key, its kind.
func encode(e encoder, rec Record) {
	e.beginMap(1)
	e.key(rec.kind().String())
	switch rec := rec.(type) {
	case *Header:
		encodeHeader(e, rec)
	case *File:
		encodeFile(e, rec)
	case *Component:
		encodeComponent(e, rec)
	case *Layer:
		encodeLayer(e, rec)
	case End:
		e.beginMap(0)
		e.endMap()
	}
	e.endMap()
}

// count returns how many arguments are true.
func count(present ...bool) int {
	n := 0
	for _, p := range present {
		if p {
			n++
		}
	}
	return n
}

func encodeHeader(e encoder, h *Header) {
	rootRaw := !utf8.ValidString(h.Root)
	e.beginMap(1 + count(h.Stage != "", h.Root != "", rootRaw, len(h.Sources) > 0, h.KeepLayers != 0,
		h.Previous != "", h.HasSourceDate, h.HasNewestMtime))
	encodeInt(e, nameVersion, h.Version)
	if h.Stage != "" {
		encodeText(e, nameStage, h.Stage)
	}
	if h.Root != "" {
		encodePath(e, nameRoot, nameRootRaw, h.Root)
	}
	if len(h.Sources) > 0 {
		encodeTexts(e, nameSources, h.Sources)
	}
	if h.KeepLayers != 0 {
		encodeInt(e, nameKeepLayers, h.KeepLayers)
	}
	if h.Previous != "" {
		encodeText(e, namePrevious, h.Previous)
	}
	if h.HasSourceDate {
		encodeInt(e, nameSourceDate, h.SourceDate)
	}
	if h.HasNewestMtime {
		encodeInt(e, nameNewestMtime, h.NewestMtime)
	}
	e.endMap()
}

func encodeFile(e encoder, f *File) {
	pathRaw := !utf8.ValidString(f.Path)
	targetRaw := !utf8.ValidString(f.Target)
	isFile := f.Type == TypeFile && f.Size != SizeUnknown
	isDevice := f.Type == TypeChar || f.Type == TypeBlock
	e.beginMap(6 + count(pathRaw, isFile, f.MTimeNsec != 0, f.Stamp != "", f.Digest.Known(), f.Target != "", targetRaw, f.Hardlink != 0,
		isDevice, isDevice, len(f.Xattrs) > 0, len(f.Components) > 0, f.Implied))
	encodePath(e, namePath, namePathRaw, f.Path)
	encodeText(e, nameType, f.Type.String())
	encodeInt(e, nameMode, int64(f.Mode))
	encodeInt(e, nameUID, int64(f.UID))
	encodeInt(e, nameGID, int64(f.GID))
	if isFile {
		encodeInt(e, nameSize, f.Size)
	}
	encodeInt(e, nameMtime, f.MTime)
	if f.MTimeNsec != 0 {
		encodeInt(e, nameMtimeNsec, int64(f.MTimeNsec))
	}
	if f.Stamp != "" {
		encodeText(e, nameStamp, f.Stamp)
	}
	if f.Digest.Known() {
		encodeText(e, nameDigest, f.Digest.String())
	}
	if f.Target != "" {
		encodePath(e, nameTarget, nameTargetRaw, f.Target)
	}
	if f.Hardlink != 0 {
		encodeInt(e, nameHardlink, f.Hardlink)
	}
	if isDevice {
		encodeInt(e, nameDevMajor, int64(f.DevMajor))
		encodeInt(e, nameDevMinor, int64(f.DevMinor))
	}
	if len(f.Xattrs) > 0 {
		e.key(nameXattrs)
		e.beginMap(len(f.Xattrs))
		for _, x := range f.Xattrs {
			e.key(x.Name)
			e.bytes(x.Value)
		}
		e.endMap()
	}
	if len(f.Components) > 0 {
		encodeTexts(e, nameComponents, f.Components)
	}
	if f.Implied {
		e.key(nameImplied)
		e.boolean(true)
	}
	e.endMap()
}

func encodeComponent(e encoder, c *Component) {
	e.beginMap(1 + count(len(c.Updates) > 0, c.IntervalDays != 0, c.HasMtimeClamp, c.Fingerprint != ""))
	encodeText(e, nameName, c.Name)
	if len(c.Updates) > 0 {
		encodeInts(e, nameUpdates, c.Updates)
	}
	if c.IntervalDays != 0 {
		encodeInt(e, nameIntervalDays, c.IntervalDays)
	}
	if c.HasMtimeClamp {
		encodeInt(e, nameMtimeClamp, c.MtimeClamp)
	}
	if c.Fingerprint != "" {
		encodeText(e, nameFingerprint, c.Fingerprint)
	}
	e.endMap()
}

func encodeLayer(e encoder, l *Layer) {
	e.beginMap(3 + count(len(l.Fingerprints) > 0, len(l.Times) > 0, len(l.Contents) > 0,
		len(l.Updated) > 0, len(l.Surprises) > 0, l.DiffID != "", l.Entries != "",
		len(l.Rewritten) > 0, len(l.Reasons) > 0))
	encodeInt(e, nameIndex, l.Index)
	encodeTexts(e, nameComponents, l.Components)
	if len(l.Fingerprints) > 0 {
		encodeTexts(e, nameFingerprints, l.Fingerprints)
	}
	if len(l.Times) > 0 {
		encodeInts(e, nameTimes, l.Times)
	}
	if len(l.Contents) > 0 {
		encodeTexts(e, nameContents, l.Contents)
	}
	if len(l.Updated) > 0 {
		encodeInts(e, nameUpdated, l.Updated)
	}
	if len(l.Surprises) > 0 {
		encodeInts(e, nameSurprises, l.Surprises)
	}
	if l.DiffID != "" {
		encodeText(e, nameDiffID, l.DiffID)
	}
	if l.Entries != "" {
		encodeText(e, nameEntries, l.Entries)
	}
	if len(l.Rewritten) > 0 {
		encodeTexts(e, nameRewritten, l.Rewritten)
	}
	if len(l.Reasons) > 0 {
		encodeTexts(e, nameReasons, l.Reasons)
	}
	encodeInt(e, nameStabilityPPM, l.StabilityPPM)
	e.endMap()
}

func encodeInt(e encoder, name string, n int64) {
	e.key(name)
	e.integer(n)
}

func encodeText(e encoder, name, s string) {
	e.key(name)
	e.text(s)
}

func encodeInts(e encoder, name string, list []int64) {
	e.key(name)
	e.beginList(len(list))
	for _, n := range list {
		e.item()
		e.integer(n)
	}
	e.endList()
}

func encodeTexts(e encoder, name string, list []string) {
	e.key(name)
	e.beginList(len(list))
	for _, s := range list {
		e.item()
		e.text(s)
	}
	e.endList()
}

// encodePath writes a path as text, and also its raw bytes if it is not UTF-8.
func encodePath(e encoder, name, rawName, path string) {
	if utf8.ValidString(path) {
		encodeText(e, name, path)
		return
	}
	encodeText(e, name, Text(path))
	e.key(rawName)
	e.bytes([]byte(path))
}
