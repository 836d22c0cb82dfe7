package chunked

import (
	"encoding/base64"
	"fmt"
	"path"
	"slices"
	"strings"

	"chunkah/format"
)

// types maps types in the TOC to types of records.
var types = map[string]format.Type{
	typeFile: format.TypeFile, typeSymlink: format.TypeSymlink, typeDir: format.TypeDir,
	typeChar: format.TypeChar, typeBlock: format.TypeBlock, typeFifo: format.TypeFifo,
}

// Files returns the entries in the table of contents as file records. The table is not compared
// with the layer, so the layer could contain different entries.
func (t *Tables) Files() (files []*format.File, err error) {
	byPath := make(map[string]*format.File)
	links := int64(0)
	for i := range t.Entries {
		e := &t.Entries[i]
		if e.Type == typeChunk {
			continue
		}
		at := path.Join("/", e.Name)
		f := &format.File{Path: at}
		base := strings.TrimPrefix(path.Base(at), format.WhiteoutPrefix)
		switch {
		case base != path.Base(at):
			f.Path, f.Type = path.Join(path.Dir(at), base), format.TypeWhiteout
		case e.Type == typeLink:
			first := byPath[path.Join("/", e.Linkname)]
			if first == nil {
				return nil, fmt.Errorf("entry %q: hard link to %q, which does not come before the link", e.Name, e.Linkname)
			}
			if first.Hardlink == 0 {
				links++
				first.Hardlink = links
			}
			*f = *first
			f.Path = at
		default:
			var known bool
			if f.Type, known = types[e.Type]; !known {
				return nil, fmt.Errorf("entry %q: unexpected type %q", e.Name, e.Type)
			}
			if err := e.fill(f); err != nil {
				return nil, fmt.Errorf("entry %q: %w", e.Name, err)
			}
		}
		byPath[at] = f
		files = append(files, f)
	}
	return files, nil
}

// fill fills in the record for an entry that is not a hard link.
func (e *Entry) fill(f *format.File) error {
	f.Mode, f.UID, f.GID = uint16(e.Mode&0o7777), uint32(e.UID), uint32(e.GID)
	f.DevMajor, f.DevMinor = uint32(e.Devmajor), uint32(e.Devminor)
	if e.ModTime != nil {
		f.MTime = e.ModTime.Unix()
	}
	switch f.Type {
	case format.TypeFile:
		f.Size, f.Digest = e.Size, format.EmptyDigest
		if e.Size != 0 { // the table omits the digest of an empty file
			f.Digest, _ = format.ParseDigest(e.Digest.String())
		}
	case format.TypeSymlink:
		f.Target = e.Linkname
	}
	for name, text := range e.Xattrs {
		value, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fmt.Errorf("xattr %q: %w", name, err)
		}
		f.Xattrs = append(f.Xattrs, format.Xattr{Name: name, Value: value})
	}
	slices.SortFunc(f.Xattrs, func(a, b format.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return nil
}
