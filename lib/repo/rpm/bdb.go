package rpm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/knqyf263/go-rpmdb/pkg/bdb"
)

// Sizes and offsets in a Berkeley DB, in bytes, and type codes.
const (
	bdbMeta     = 512 // bytes of the first page that are read
	bdbKeys     = 88  // offset of the number of keys
	bdbMinPage  = 512
	bdbMaxPage  = 64 << 10
	bdbPageHead = bdb.PageHeaderSize
	bdbIndex    = bdb.HashIndexEntrySize
	bdbInline   = 1 // H_KEYDATA: the item itself
	bdbFree     = 0 // P_INVALID: an unused page
)

// berkeley is an open Packages file. Its hash table maps package numbers to headers, which are
// stored in chains of overflow pages.
type berkeley struct {
	file  *os.File
	order binary.ByteOrder
	big   bool
	size  int    // size of a page
	last  uint32 // number of the last page
	keys  uint32 // number of items according to the database
	used  []bool // by page: whether it is part of a chain
	items uint32 // number of items found
}

// readBDB reads Packages, the database in EL 8 and earlier. It uses the library's page parsers but
// walks the pages itself, because the library's own walk has four faults: a bad offset causes a
// panic in a goroutine, where it cannot be recovered; a cyclic chain causes an endless loop; a
// broken chain is treated as complete; and values that are stored without a chain, because they are
// small, are left out.
func readBDB(ctx context.Context, c *private, visit visit) (err error) {
	f, err := c.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	db, err := openBDB(f)
	if err != nil {
		return err
	}
	page := make([]byte, db.size)
	for n := uint32(1); n <= db.last; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		head, err := db.page(n, page)
		if err != nil {
			return err
		}
		switch head.PageType {
		case bdbFree, bdb.OverflowPageType:
		case bdb.HashPageType, bdb.HashUnsortedPageType:
			if err := db.walk(n, page, int(head.NumEntries), visit); err != nil {
				return err
			}
		default:
			return fmt.Errorf("page %d has an unknown type %d", n, head.PageType)
		}
	}
	if db.items != db.keys {
		return fmt.Errorf("is damaged: %d of %d records can be read", db.items, db.keys)
	}
	return nil
}

func openBDB(f *os.File) (*berkeley, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	raw := make([]byte, bdbMeta)
	if _, err := f.ReadAt(raw, 0); err != nil {
		return nil, errShort
	}
	meta, err := bdb.ParseHashMetadataPage(raw)
	if err != nil {
		return nil, err
	}
	size := meta.PageSize
	switch {
	case size < bdbMinPage || size > bdbMaxPage || size&(size-1) != 0:
		return nil, fmt.Errorf("has the invalid page size %d", size)
	case (int64(meta.LastPageNo)+1)*int64(size) > st.Size():
		return nil, errShort
	}
	db := &berkeley{
		file: f, order: binary.LittleEndian, big: meta.Swapped,
		size: int(size), last: meta.LastPageNo, used: make([]bool, meta.LastPageNo+1),
	}
	if db.big {
		db.order = binary.BigEndian
	}
	// The library reads NumKeys at a wrong offset and never swaps its bytes.
	db.keys = db.order.Uint32(raw[bdbKeys:])
	return db, nil
}

// page reads page n into buf and returns its header.
func (db *berkeley) page(n uint32, buf []byte) (*bdb.HashPage, error) {
	if _, err := db.file.ReadAt(buf, int64(n)*int64(db.size)); err != nil {
		return nil, errShort
	}
	head, err := bdb.ParseHashPage(buf, db.big)
	if err != nil {
		return nil, err
	}
	// An allocated page that was never used is all zeros.
	if head.PageType != bdbFree && head.PageNo != n {
		return nil, fmt.Errorf("page %d has the wrong page number %d", n, head.PageNo)
	}
	return head, nil
}

// walk visits the key-value pairs page size. Items are stored from the page's end towards its
// front, and their offsets are stored at the front.
func (db *berkeley) walk(n uint32, page []byte, entries int, visit visit) error {
	front := bdbPageHead + entries*bdbIndex
	if entries%2 != 0 || front > len(page) {
		return fmt.Errorf("page %d has the invalid number of items %d", n, entries)
	}
	end := len(page)
	items := make([][]byte, 0, 2)
	for i := range entries {
		at := int(db.order.Uint16(page[bdbPageHead+i*bdbIndex:]))
		if at < front || at >= end {
			return fmt.Errorf("page %d has an item at the invalid offset %d", n, at)
		}
		items = append(items, page[at:end])
		end = at
		if len(items) < 2 {
			continue
		}
		if err := db.pair(items[0], items[1], visit); err != nil {
			return fmt.Errorf("page %d: %w", n, err)
		}
		items = items[:0]
	}
	return nil
}

// pair visits one package. The key is the package's number, in the database's byte order. Number 0
// stores a counter instead of a package.
func (db *berkeley) pair(key, value []byte, visit visit) error {
	db.items++
	if key[0] != bdbInline || len(key) != 5 {
		return errors.New("key is not a package number")
	}
	number := db.order.Uint32(key[1:])
	if number == 0 {
		return nil
	}
	switch {
	case value[0] == bdbInline:
		return visit(int64(number), value[1:])
	case value[0] == bdb.HashOffIndexPageType && len(value) == bdb.HashOffPageSize:
		blob, err := db.chain(value)
		if err != nil {
			return fmt.Errorf("package %d: %w", number, err)
		}
		return visit(int64(number), blob)
	}
	return fmt.Errorf("package %d is stored in an unknown format", number)
}

// chain assembles a value from its pages. A page can be in only one chain, so all chains together
// are no longer than the file.
func (db *berkeley) chain(item []byte) ([]byte, error) {
	ref, err := bdb.ParseHashOffPageEntry(item, db.big)
	if err != nil {
		return nil, err
	}
	if int64(ref.Length) > int64(len(db.used))*int64(db.size) || ref.Length > maxHeader {
		return nil, fmt.Errorf("has the invalid size %d", ref.Length)
	}
	blob := make([]byte, 0, ref.Length)
	page := make([]byte, db.size)
	before := uint32(0)
	for n := ref.PageNo; n != 0; {
		if n > db.last || db.used[n] {
			return nil, fmt.Errorf("continues on the invalid page %d", n)
		}
		db.used[n] = true
		head, err := db.page(n, page)
		if err != nil {
			return nil, err
		}
		// On an overflow page, this field is the length of the page's data.
		part := int(head.FreeAreaOffset)
		if head.PageType != bdb.OverflowPageType || head.PreviousPageNo != before ||
			part > len(page)-bdbPageHead || len(blob)+part > int(ref.Length) {
			return nil, fmt.Errorf("page %d is damaged", n)
		}
		blob = append(blob, page[bdbPageHead:bdbPageHead+part]...)
		before, n = n, head.NextPageNo
	}
	if len(blob) != int(ref.Length) {
		return nil, fmt.Errorf("has only %d of %d bytes", len(blob), ref.Length)
	}
	return blob, nil
}
