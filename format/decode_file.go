package format

func decodeFile(d decoder, in *interner) *File {
	f := &File{}
	var pathRaw, targetRaw []byte
	unknown := "" // the type, if it is unknown
	s := fields{d: d, kind: kindFile}
	for d.beginMap(); ; {
		key, ok := s.next()
		if !ok {
			break
		}
		switch string(key) {
		case namePath:
			if s.once(0, namePath) {
				f.Path = string(d.text(3 * MaxPath))
			}
		case namePathRaw:
			if s.once(1, namePathRaw) {
				pathRaw = d.bytes(MaxPath)
			}
		case nameType:
			if s.once(2, nameType) {
				text := d.text(MaxText)
				if f.Type = fileType(text); f.Type == 0 {
					unknown = clip(string(text))
				}
			}
		case nameMode:
			if s.once(3, nameMode) {
				f.Mode = uint16(bounded(d, 0o7777))
			}
		case nameUID:
			if s.once(4, nameUID) {
				f.UID = uint32(bounded(d, maxID))
			}
		case nameGID:
			if s.once(5, nameGID) {
				f.GID = uint32(bounded(d, maxID))
			}
		case nameSize:
			if s.once(6, nameSize) {
				f.Size = bounded(d, MaxInt)
			}
		case nameMtime:
			if s.once(7, nameMtime) {
				f.MTime = d.integer()
			}
		case nameMtimeNsec:
			if s.once(8, nameMtimeNsec) {
				f.MTimeNsec = int32(bounded(d, 999_999_999))
			}
		case nameStamp:
			if s.once(17, nameStamp) {
				f.Stamp = string(d.text(MaxText))
			}
		case nameDigest:
			if s.once(18, nameDigest) {
				f.Digest, _ = ParseDigest(decodeDigest(d))
			}
		case nameTarget:
			if s.once(9, nameTarget) {
				f.Target = string(d.text(3 * MaxTarget))
			}
		case nameTargetRaw:
			if s.once(10, nameTargetRaw) {
				targetRaw = d.bytes(MaxTarget)
			}
		case nameHardlink:
			if s.once(11, nameHardlink) {
				f.Hardlink = bounded(d, MaxInt)
			}
		case nameDevMajor:
			if s.once(12, nameDevMajor) {
				f.DevMajor = uint32(bounded(d, maxDevice))
			}
		case nameDevMinor:
			if s.once(13, nameDevMinor) {
				f.DevMinor = uint32(bounded(d, maxDevice))
			}
		case nameXattrs:
			if s.once(14, nameXattrs) {
				f.Xattrs = decodeXattrs(d, in)
			}
		case nameComponents:
			if s.once(15, nameComponents) {
				f.Components = decodeTexts(d, in)
			}
		case nameImplied:
			if s.once(16, nameImplied) {
				f.Implied = d.boolean()
			}
		default:
			s.unknown(key)
		}
	}
	switch {
	case !s.has(0):
		d.fail(valuef("file has no path"))
	case !s.has(2):
		d.fail(valuef("file %q has no type", clip(f.Path)))
	case f.Type == 0:
		d.fail(valuef("type %q of %q is unknown", unknown, clip(f.Path)))
	}
	if s.has(1) {
		f.Path = rawPath(d, namePath, f.Path, pathRaw)
	}
	if s.has(10) {
		f.Target = rawPath(d, nameTarget, f.Target, targetRaw)
	}
	if s.has(17) && f.Stamp == "" {
		d.fail(valuef("stamp of %q is empty", clip(f.Path)))
	}
	if !s.has(3) {
		f.Mode = defaultMode(f.Type)
	}
	if !s.has(6) && f.Type == TypeFile {
		f.Size = SizeUnknown
	}
	return f
}

// fileType returns the type with this name, or 0 if there is none.
func fileType(b []byte) Type {
	for t := TypeFile; t < TypeEnd; t++ {
		if string(b) == typeNames[t] {
			return t
		}
	}
	return 0
}

// defaultMode returns the mode of a file whose record contains no mode.
func defaultMode(t Type) uint16 {
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
		name := in.text(key)
		value := d.bytes(MaxXattrValue)
		if list = append(list, Xattr{name, value}); len(list) > MaxXattrs {
			d.fail(limitf("a file has more than %d xattrs", MaxXattrs))
		}
	}
	SortXattrs(list)
	return list
}

// rawPath returns the raw bytes of a name that is not UTF-8. It first checks that the text
// represents the same name.
func rawPath(d decoder, name, text string, raw []byte) string {
	if Text(string(raw)) != text {
		d.fail(valuef("%s %q and %s_raw %q are not the same name", name, clip(text), name, clip(string(raw))))
		return ""
	}
	return string(raw)
}
