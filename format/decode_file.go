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
			s.text(0, namePath, &f.Path, 3*MaxPath)
		case namePathRaw:
			s.bytes(1, namePathRaw, &pathRaw, MaxPath)
		case nameType:
			if s.once(2, nameType) {
				text := d.text(MaxText)
				if f.Type = fileType(text); f.Type == 0 {
					unknown = clip(string(text))
				}
			}
		case nameMode:
			readNumber(&s, 3, nameMode, &f.Mode, 0o7777)
		case nameUID:
			readNumber(&s, 4, nameUID, &f.UID, maxID)
		case nameGID:
			readNumber(&s, 5, nameGID, &f.GID, maxID)
		case nameSize:
			readNumber(&s, 6, nameSize, &f.Size, MaxInt)
		case nameMtime:
			s.integer(7, nameMtime, &f.MTime)
		case nameMtimeNsec:
			readNumber(&s, 8, nameMtimeNsec, &f.MTimeNsec, 999_999_999)
		case nameStamp:
			s.text(17, nameStamp, &f.Stamp, MaxText)
		case nameDigest:
			if s.once(18, nameDigest) {
				f.Digest, _ = ParseDigest(decodeDigest(d))
			}
		case nameTarget:
			s.text(9, nameTarget, &f.Target, 3*MaxTarget)
		case nameTargetRaw:
			s.bytes(10, nameTargetRaw, &targetRaw, MaxTarget)
		case nameHardlink:
			readNumber(&s, 11, nameHardlink, &f.Hardlink, MaxInt)
		case nameDevMajor:
			readNumber(&s, 12, nameDevMajor, &f.DevMajor, maxDevice)
		case nameDevMinor:
			readNumber(&s, 13, nameDevMinor, &f.DevMinor, maxDevice)
		case nameXattrs:
			if s.once(14, nameXattrs) {
				f.Xattrs = decodeXattrs(d, in)
			}
		case nameComponents:
			s.texts(15, nameComponents, &f.Components, in)
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
