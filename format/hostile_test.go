package format

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
)

// flood generates an input that is never completely in memory: a start, a repeated middle, and an
// end. It records how many bytes were read and the largest heap.
type flood struct {
	io.Reader
	read int64
	peak uint64
}

// repeated returns the same bytes repeatedly.
type repeated struct {
	block []byte
	at    int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], r.block[r.at:])
		n += c
		r.at = (r.at + c) % len(r.block)
	}
	return n, nil
}

// newFlood repeats middle up to size bytes.
func newFlood(start, middle string, size int64, end string) *flood {
	times := max(1, readBuffer/len(middle))
	size -= size % int64(len(middle))
	return &flood{Reader: io.MultiReader(strings.NewReader(start),
		io.LimitReader(&repeated{block: bytes.Repeat([]byte(middle), times)}, size), strings.NewReader(end))}
}

func (f *flood) Read(p []byte) (int, error) {
	f.sample()
	n, err := f.Reader.Read(p)
	f.read += int64(n)
	return n, err
}

func (f *flood) sample() {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	f.peak = max(f.peak, s[0].Value.Uint64())
}

const (
	mib = 1 << 20
	// endless is larger than any input that a reader accepts.
	endless = 1 << 50
)

func msgpackText(length uint32) string {
	return "\xdb" + string(binary.BigEndian.AppendUint32(nil, length))
}

func TestHostileStreamsAreBounded(t *testing.T) {
	const head = `{"header":{}}`
	const msgpackHead = "\x81\xa6header\x80"
	list := func(n uint32) string { return "\xdd" + string(binary.BigEndian.AppendUint32(nil, n)) }
	for _, test := range []struct {
		name  string
		in    *flood
		class Class
		read  int64 // at most, in bytes
		heap  int64 // at most, in MiB
	}{
		{"path without end", newFlood(head+`{"file":{"path":"/`, "a", endless, ""), ClassLimit, 8 * mib, 32},
		{"path of 63 MiB and an end", newFlood(head+`{"file":{"path":"/`, "a", 63*mib, `"}}`), ClassLimit, 8 * mib, 32},
		{"path of escapes", newFlood(head+`{"file":{"path":"/`, `\u0061`, endless, ""), ClassLimit, 48 * mib, 128},
		{"record of spaces", newFlood(head+`{"file":{"path":`, " ", endless, ""), ClassLimit, MaxRecord + mib, 384},
		{"record of 64 MiB and a bit", newFlood(head+`{"file":{"path":"/a",`, " ", MaxRecord, `"type":"file"}}{"end":{}}`), ClassLimit, MaxRecord + mib, 384},
		{"spaces between records", newFlood(head, "\n", 80*mib, `{"end":{}}`), "", 81 * mib, 16},
		{"ten million updates", newFlood(head+`{"component":{"name":"x","updates":[1`, ",1", 20*mib, `]}}`), ClassLimit, 21 * mib, 384},
		{"ten million components", newFlood(head+`{"file":{"path":"/a","components":["x"`, `,"x"`, 40*mib, `]}}`), ClassLimit, 41 * mib, 384},
		{"ten million xattrs", newFlood(head+`{"file":{"path":"/a","xattrs":{"x":""`, `,"x":""`, 60*mib, `}}}`), ClassLimit, 61 * mib, 384},
		{"nested objects", newFlood(head+`{"file":`, `{"path":`, endless, ""), ClassValue, 4 * readBuffer, 16},
		{"nested arrays", newFlood(head+`{"file":{"components":`, "[", endless, ""), ClassValue, 4 * readBuffer, 16},
		{"a million records", newFlood(head, `{"component":{"name":"x"}}`, 26_000_000, `{"end":{}}`), "", 26_000_100, 128},
		{"ten million component records", newFlood(head, `{"component":{"name":"x"}}`, 10_000_000*26, `{"end":{}}`), ClassLimit, 28 * mib, 128},
		{"msgpack ten million component records", newFlood(msgpackHead, "\x81\xa9component\x81\xa4name\xa1x", 10_000_000*19, "\x81\xa3end\x80"), ClassLimit, 28 * mib, 128},
		{"msgpack text of 64 MiB", newFlood(msgpackHead+"\x81\xa4file\x81\xa4path"+msgpackText(MaxRecord), "a", endless, ""), ClassLimit, 4 * readBuffer, 16},
		{"msgpack nested maps", newFlood(msgpackHead+"\x81\xa4file", "\x81\xa4path", endless, ""), ClassValue, 4 * readBuffer, 16},
		{"msgpack nested arrays", newFlood(msgpackHead+"\x81\xa4file\x81\xaacomponents", "\x91", endless, ""), ClassValue, 4 * readBuffer, 16},
		{"msgpack updates beyond the limit", newFlood(msgpackHead+"\x81\xa9component\x81\xa7updates"+list(MaxList+1), "\x01", endless, ""), ClassLimit, 4 * readBuffer, 16},
		{"msgpack updates at the limit", newFlood(msgpackHead+"\x81\xa9component\x82\xa4name\xa1x\xa7updates"+list(MaxList), "\x01", MaxList, "\x81\xa3end\x80"), "", 2 * mib, 64},
		{"msgpack record of 64 MiB and a bit", newFlood(msgpackHead+"\x81\xa5layer\x81\xaacomponents"+list(MaxList), msgpackText(100)+strings.Repeat("x", 100), endless, ""), ClassLimit, MaxRecord + mib, 384},
		{"msgpack keys", newFlood(msgpackHead+"\xdf\x00\x0f\xff\xff", "\xa4file\x80", endless, ""), ClassValue, 4 * readBuffer, 16},
	} {
		t.Run(test.name, func(t *testing.T) {
			if testing.Short() && test.read > 32*mib {
				t.Skip("much to read")
			}
			runtime.GC()
			test.in.sample()
			before := test.in.peak
			var err error
			for _, err = range All(NewReader(test.in, "test")) {
			}
			test.in.sample()
			if got := classOf(err); got != test.class {
				t.Errorf("got class %q (%v), want %q", got, err, test.class)
			}
			if test.in.read > test.read {
				t.Errorf("read %d bytes, want %d at most", test.in.read, test.read)
			}
			if grown := int64(test.in.peak-before) / mib; grown > test.heap {
				t.Errorf("the heap grew by %d MiB, want %d at most", grown, test.heap)
			}
			t.Logf("read %d bytes, the heap grew by %d KiB: %v", test.in.read, (test.in.peak-before)/1024, err)
		})
	}
}

// A record can be as large as the limit. Afterwards the reader frees its buffer.
func TestLargestRecord(t *testing.T) {
	if testing.Short() {
		t.Skip("much to read")
	}
	const open, end = `{"file":{"path":"/a",`, `"type":"file"}}`
	in := newFlood(`{"header":{}}`+open, " ", MaxRecord-int64(len(open)+len(end)), end+`{"file":{"path":"/b","type":"file"}}{"end":{}}`)
	r := NewReader(in, "test")
	n := 0
	for _, err := range All(r) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 3 {
		t.Errorf("got %d records, want 3", n)
	}
}
