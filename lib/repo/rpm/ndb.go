package rpm

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"slices"
)

// The layout of a Packages.db, with little-endian numbers: a first page that begins with a header,
// pages of slots, and blobs in blocks, each with a head and a tail.
const (
	ndbPage     = 4096
	ndbSlot     = 16 // bytes of a slot, of a block and of a blob's head
	ndbTail     = 12
	ndbMaxPages = 2048 // limits the number of slots to 524,000
	ndbMagic    = "RpmP"
	ndbSlotMark = "Slot"
	ndbHeadMark = "BlbS"
	ndbTailMark = "BlbE"
)

// A slot contains the position and size of a package's blob, in blocks.
type slot struct{ number, block, blocks uint32 }

// readNDB reads Packages.db, the database in SUSE. It does not use the library, which prints to
// standard output on a bad slot, trusts blob sizes, and ignores checksums.
func readNDB(ctx context.Context, c *private, visit visit) (err error) {
	f, err := c.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	slots, err := readSlots(f, st.Size())
	if err == nil {
		err = checkApart(slots)
	}
	if err != nil {
		return err
	}
	for _, s := range slots {
		if err := ctx.Err(); err != nil {
			return err
		}
		blob, err := s.read(f)
		if err == nil {
			err = visit(int64(s.number), blob)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkApart makes sure that no two slots share a package number or a block. So reading every blob
// reads each part of the file only once.
func checkApart(slots []slot) error {
	byBlock := slices.Clone(slots)
	slices.SortFunc(byBlock, func(a, b slot) int { return cmp.Compare(a.block, b.block) })
	seen := make(map[uint32]bool, len(slots))
	end := uint64(0)
	for _, s := range byBlock {
		if seen[s.number] || uint64(s.block) < end {
			return fmt.Errorf("package %d overlaps another", s.number)
		}
		seen[s.number] = true
		end = uint64(s.block) + uint64(s.blocks)
	}
	return nil
}

// readSlots reads the used slots and checks that they are within the file.
func readSlots(f io.ReaderAt, size int64) ([]slot, error) {
	head := make([]byte, 2*ndbSlot)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, errShort
	}
	pages := int64(binary.LittleEndian.Uint32(head[12:]))
	switch {
	case string(head[:4]) != ndbMagic || binary.LittleEndian.Uint32(head[4:]) != 0:
		return nil, errNotDatabase
	case pages == 0 || pages > ndbMaxPages:
		return nil, fmt.Errorf("has the invalid number of slot pages %d", pages)
	case pages*ndbPage > size:
		return nil, errShort
	}
	raw := make([]byte, pages*ndbPage)
	if _, err := f.ReadAt(raw, 0); err != nil {
		return nil, errShort
	}
	next := binary.LittleEndian.Uint32(head[16:])
	var slots []slot
	for at := 2 * ndbSlot; at < len(raw); at += ndbSlot {
		s, err := parseSlot(raw[at:at+ndbSlot], size, pages)
		if err != nil {
			return nil, fmt.Errorf("slot %d %w", at/ndbSlot, err)
		}
		if s.number == 0 {
			continue
		}
		if s.number >= next {
			return nil, fmt.Errorf("contains package %d, but the next package number is %d", s.number, next)
		}
		slots = append(slots, s)
	}
	// A slot after the last page means that the number of pages is wrong.
	mark := make([]byte, len(ndbSlotMark))
	if n, _ := f.ReadAt(mark, pages*ndbPage); n == len(mark) && string(mark) == ndbSlotMark {
		return nil, errors.New("has more slots than its header specifies")
	}
	return slots, nil
}

func parseSlot(raw []byte, size, pages int64) (slot, error) {
	s := slot{
		number: binary.LittleEndian.Uint32(raw[4:]),
		block:  binary.LittleEndian.Uint32(raw[8:]),
		blocks: binary.LittleEndian.Uint32(raw[12:]),
	}
	first, end := int64(s.block)*ndbSlot, (int64(s.block)+int64(s.blocks))*ndbSlot
	switch {
	case string(raw[:4]) != ndbSlotMark:
		return slot{}, errors.New("is damaged")
	case s.number == 0 && s.block == 0 && s.blocks == 0:
		return slot{}, nil
	case s.number == 0 || first < pages*ndbPage || s.blocks < 2:
		return slot{}, errors.New("is damaged")
	case end > size:
		return slot{}, errors.New("points past the end")
	case end-first > maxHeader:
		return slot{}, errors.New("is too large")
	}
	return s, nil
}

// read returns the blob of a slot. It checks the package number, the sizes in head and tail, and
// the checksum, which covers the head, the blob and the zeros before the tail.
func (s slot) read(f io.ReaderAt) ([]byte, error) {
	raw := make([]byte, int64(s.blocks)*ndbSlot)
	if _, err := f.ReadAt(raw, int64(s.block)*ndbSlot); err != nil {
		return nil, errShort
	}
	tail := raw[len(raw)-ndbTail:]
	size := binary.LittleEndian.Uint32(raw[12:])
	blocks := (int64(size) + ndbSlot + ndbTail + ndbSlot - 1) / ndbSlot
	if string(raw[:4]) != ndbHeadMark || string(tail[8:]) != ndbTailMark ||
		binary.LittleEndian.Uint32(raw[4:]) != s.number ||
		binary.LittleEndian.Uint32(tail[4:]) != size || blocks != int64(s.blocks) ||
		adler32.Checksum(raw[:len(raw)-ndbTail]) != binary.LittleEndian.Uint32(tail) {
		return nil, fmt.Errorf("package %d is damaged", s.number)
	}
	return raw[ndbSlot:][:size], nil
}
