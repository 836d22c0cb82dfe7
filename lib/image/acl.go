package image

import (
	"archive/tar"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"chunkah/format"
)

// aclRecords maps the PAX records in which GNU tar --acls and bsdtar write ACLs as text to the
// xattrs that store these ACLs in a file system. tar --xattrs writes the xattrs themselves.
var aclRecords = map[string]string{
	"SCHILY.acl.access": "system.posix_acl_access",
	defaultACL:          "system.posix_acl_default",
}

// defaultACL is the record of the ACL that new files in a directory get.
const defaultACL = "SCHILY.acl.default"

// aclEntry is an entry of an ACL, see acl(5).
type aclEntry struct {
	tag, perm uint16
	id        uint32
}

// The tags of entries, and the version of the xattr's format (linux/posix_acl_xattr.h).
const (
	aclVersion                                                 = 2
	aclUserObj, aclUser, aclGroupObj, aclGroup, aclMask        = 0x01, 0x02, 0x04, 0x08, 0x10
	aclOther                                                   = 0x20
	aclNoID                                             uint32 = math.MaxUint32
)

// addACLs converts a header's ACLs from text to xattrs.
func addACLs(h *tar.Header) error {
	for record, xattr := range aclRecords {
		text := h.PAXRecords[record]
		if text == "" || h.PAXRecords[format.XattrKey+xattr] != "" {
			continue
		}
		acl, err := parseACL(text)
		if err != nil {
			return fmt.Errorf("has the record %q: %w", record, err)
		}
		isDefault := record == defaultACL
		if len(acl) <= 3 && !isDefault {
			continue // the mode contains the same permissions
		}
		h.PAXRecords[format.XattrKey+xattr] = encodeACL(acl)
		if i := slices.IndexFunc(acl, func(e aclEntry) bool { return e.tag == aclMask }); i >= 0 && !isDefault {
			h.Mode = h.Mode&^0o070 | int64(acl[i].perm)<<3 // stat reports the mode like this, but not every tar contains it
		}
	}
	return nil
}

var errACL = errors.New("is not an ACL")

// parseACL reads the entries of an ACL in text form. They are separated by commas or newlines.
func parseACL(text string) ([]aclEntry, error) {
	var acl []aclEntry
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		line, _, _ = strings.Cut(line, "#")
		e, err := parseACLEntry(strings.Split(strings.TrimSpace(line), ":"))
		if err != nil {
			return nil, fmt.Errorf("entry %q %w", line, err)
		}
		acl = append(acl, e)
	}
	slices.SortFunc(acl, func(a, b aclEntry) int { return cmp.Or(cmp.Compare(a.tag, b.tag), cmp.Compare(a.id, b.id)) })
	return acl, nil
}

// parseACLEntry reads TAG:NAME:PERMISSIONS. bsdtar appends the ID that belongs to NAME.
func parseACLEntry(fields []string) (e aclEntry, err error) {
	if len(fields) < 3 || len(fields) > 4 {
		return e, errACL
	}
	tags, known := map[string][2]uint16{
		"user": {aclUserObj, aclUser}, "group": {aclGroupObj, aclGroup}, "mask": {aclMask, 0}, "other": {aclOther, 0},
	}[fields[0]]
	if !known {
		return e, errACL
	}
	for i, letter := range "rwx" {
		if strings.ContainsRune(fields[2], letter) {
			e.perm |= 4 >> i
		}
	}
	if strings.Trim(fields[2], "rwx-") != "" {
		return e, errACL
	}
	e.tag, e.id = tags[0], aclNoID
	if fields[1] == "" {
		return e, nil
	}
	if e.tag = tags[1]; e.tag == 0 {
		return e, errACL
	}
	id, err := strconv.ParseUint(fields[len(fields)-1], 10, 32)
	if len(fields) == 3 {
		id, err = strconv.ParseUint(fields[1], 10, 32)
	}
	if err != nil || uint32(id) == aclNoID {
		return e, fmt.Errorf("contains the name %q without a numeric ID: make the tar with --xattrs --xattrs-include='*' instead of --acls", fields[1])
	}
	e.id = uint32(id)
	return e, nil
}

func encodeACL(acl []aclEntry) string {
	out := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, e := range acl {
		out = binary.LittleEndian.AppendUint16(out, e.tag)
		out = binary.LittleEndian.AppendUint16(out, e.perm)
		out = binary.LittleEndian.AppendUint32(out, e.id)
	}
	return string(out)
}
