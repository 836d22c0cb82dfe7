package format

import (
	"errors"
	"io"
	"slices"
)

// errShort means that the input, or its buffered part, ends inside a record.
var errShort = errors.New("input ends inside a record")

// readBuffer is the number of bytes per read. It equals the size of a pipe.
const readBuffer = 64 << 10

// maxEmptyReads is the largest number of consecutive reads that return neither bytes nor an error.
const maxEmptyReads = 100

// keptWhole is the size of the largest record buffer that is kept for the next record, in bytes.
const keptWhole = 1 << 20

var errRecordTooLong = limitf("record is larger than %d bytes", MaxRecord)

// input returns the bytes of a stream as they are read. If they end inside a record, it gathers the
// complete record.
type input struct {
	r     io.Reader
	buf   []byte
	whole []byte // the last gathered record
	err   error  // the error that came with the last bytes; returned after them
}

func newInput(r io.Reader) *input { return &input{r: r, buf: make([]byte, readBuffer)} }

// more returns the next bytes, at least one. They are valid until the next call. At the end of the
// input it returns errShort.
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

// A scanner finds the end of a record in a growing buffer. It reads each byte once and does not
// validate the record.
type scanner interface {
	// closed returns the number of bytes up to the end of the record, or 0 if the buffer does not
	// contain the end.
	closed(buf []byte) int
}

// errMore means that a record is not complete yet, and that its first bytes can already be checked.
var errMore = errors.New("record is incomplete")

// begin starts to gather a record. b contains its first bytes.
func (in *input) begin(b []byte) []byte {
	if cap(in.whole) > keptWhole {
		in.whole = nil // do not keep a large buffer forever
	}
	in.whole = append(in.whole[:0], b...)
	return in.whole
}

// gather reads more of the record, up to its end or a little further, or until enough bytes are
// read. It returns the gathered bytes. If it stopped before the record's end, the error is the
// reason: errMore, errShort or errRecordTooLong. An error from the input is returned without bytes.
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

// add appends to the gathered record. The buffer doubles up to the size of the largest record, so
// that many small pieces are not copied often.
func (in *input) add(b []byte) {
	if len(in.whole)+len(b) > cap(in.whole) {
		room := min(len(in.whole), MaxRecord+readBuffer-len(in.whole))
		in.whole = slices.Grow(in.whole, max(room, len(b)))
	}
	in.whole = append(in.whole, b...)
}
