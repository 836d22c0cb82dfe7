package format

import (
	"errors"
	"io"
	"slices"
)

// errShort says that the input ends, or what there is of it, before a record is
// whole.
var errShort = errors.New("input ends inside a record")

// readBuffer is the number of bytes asked for by one read: what a pipe holds.
const readBuffer = 64 << 10

// maxEmptyReads bounds the reads in a row that give neither bytes nor an error.
const maxEmptyReads = 100

// keptWhole is the size up to which the buffer of a gathered record is kept for
// the next one.
const keptWhole = 1 << 20

var errRecordTooLong = limitf("record has more than %d bytes", MaxRecord)

// input hands out the bytes of a stream as reading gives them, and whole records
// where a piece ends inside one.
type input struct {
	r     io.Reader
	buf   []byte
	whole []byte // what gather put together last
	err   error  // came with the last bytes and waits for its turn
}

func newInput(r io.Reader) *input { return &input{r: r, buf: make([]byte, readBuffer)} }

// more returns the next bytes, at least one of them; they are good until the
// next call. errShort is the end of the input.
func (in *input) more() ([]byte, error) {
	for range maxEmptyReads {
		if in.err != nil {
			return nil, in.err
		}
		n, err := in.r.Read(in.buf)
		if err == io.EOF {
			err = errShort
		}
		in.err = err
		if n > 0 {
			return in.buf[:n], nil
		}
	}
	return nil, io.ErrNoProgress
}

// A scanner finds the end of a record in a buffer that grows, looking at each
// byte once. What it is given is no valid record yet.
type scanner interface {
	// closed returns the number of bytes up to the end of the record, 0 where
	// that is not in the buffer.
	closed(buf []byte) int
}

// errMore says that a record is not whole yet, but worth a look.
var errMore = errors.New("record goes on")

// hold starts to gather the record that b opens.
func (in *input) hold(b []byte) []byte {
	if cap(in.whole) > keptWhole {
		in.whole = nil // one large record is no reason to hold that much for ever
	}
	in.whole = append(in.whole[:0], b...)
	return in.whole
}

// gather adds to what is held, up to the end of the record or a little further,
// or until there are enough bytes. It returns what is held, and why it stopped
// before the record's end: errMore, errShort or errRecordTooLong. An error of
// the input comes alone.
func (in *input) gather(scan scanner, enough int) ([]byte, error) {
	for {
		end := scan.closed(in.whole)
		switch {
		case end > MaxRecord, end == 0 && len(in.whole) > MaxRecord:
			return in.whole[:MaxRecord+1], errRecordTooLong
		case end > 0:
			return in.whole, nil
		case len(in.whole) >= enough:
			return in.whole, errMore
		}
		b, err := in.more()
		if errors.Is(err, errShort) {
			return in.whole, err
		}
		if err != nil {
			return nil, err
		}
		in.add(b)
	}
}

// add appends to the record that is being gathered. Its room doubles, so that
// small pieces are not copied over and over, up to what a record may take.
func (in *input) add(b []byte) {
	if len(in.whole)+len(b) > cap(in.whole) {
		room := min(len(in.whole), MaxRecord+readBuffer-len(in.whole))
		in.whole = slices.Grow(in.whole, max(room, len(b)))
	}
	in.whole = append(in.whole, b...)
}
