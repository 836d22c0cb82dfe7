package chunked

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
)

// Tables are the tables of a blob.
type Tables struct {
	Positions
	// Entries are the entries in the table of contents.
	Entries []Entry

	splitDigest digest.Digest // digest of the compressed tar-split
	split       []byte        // compressed tar-split
}

// maxEntries is the largest number of entries in a table of contents. Together with clients' limit
// on the size of a table, it limits the memory for a table.
const maxEntries = 1 << 20

// maxWindow is the largest window of a decoder, in bytes, as in package compress.
const maxWindow = 128 << 20

// Read reads the tables that the footer of a blob refers to.
func Read(blob io.ReaderAt, size int64) (*Tables, error) {
	footer := make([]byte, skippableSize+footerSize)
	if size < int64(len(footer)) {
		return nil, errNoFooter
	}
	if _, err := blob.ReadAt(footer, size-int64(len(footer))); err != nil {
		return nil, fmt.Errorf("reading the footer: %w", err)
	}
	p, err := parseFooter(footer, size)
	if err != nil {
		return nil, err
	}
	return ReadTables(p, io.NewSectionReader(blob, p.Start(), size-p.Start()))
}

// ReadTables reads the tables from the end of a blob. in starts at p.Start. If p contains a digest,
// the table of contents must match it. The footer must contain the same values as p.
func ReadTables(p *Positions, in io.Reader) (*Tables, error) {
	t := &Tables{Positions: *p}
	toc, err := readSkippable(in, p.toc.size)
	if err != nil {
		return nil, fmt.Errorf("reading the table of contents: %w", err)
	}
	got := digest.FromBytes(toc)
	if t.Digest != "" && t.Digest != got {
		return nil, fmt.Errorf("the table of contents has the digest %q, but the annotation has %q", got, t.Digest)
	}
	t.Digest = got
	if t.split, err = readSkippable(in, p.split.size); err != nil {
		return nil, fmt.Errorf("reading the tar-split: %w", err)
	}
	footer, err := readSkippable(in, footerSize)
	if err != nil {
		return nil, fmt.Errorf("reading the footer: %w", err)
	}
	if !bytes.Equal(footer, t.footer()) {
		return nil, errors.New("the footer and the annotations contain different positions")
	}
	if err := t.parse(toc); err != nil {
		return nil, fmt.Errorf("reading the table of contents: %w", err)
	}
	if got := digest.FromBytes(t.split); got != t.splitDigest {
		return nil, fmt.Errorf("the tar-split has the digest %q, but the table of contents lists %q", got, t.splitDigest)
	}
	return t, nil
}

// readSkippable reads a skippable frame with n bytes of contents.
func readSkippable(in io.Reader, n int64) ([]byte, error) {
	header := make([]byte, skippableSize)
	if _, err := io.ReadFull(in, header); err != nil {
		return nil, err
	}
	if string(header) != skippableHeader(n) {
		return nil, fmt.Errorf("expected a skippable frame of %d bytes", n)
	}
	var b bytes.Buffer // grows with the data
	if _, err := io.CopyN(&b, in, n); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// unpack returns a reader for a compressed table. Reading fails unless the table has n bytes after
// decompression. The caller closes the decoder.
func unpack(data []byte, n int64) (*zstd.Decoder, io.Reader, error) {
	z, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, nil, err
	}
	return z, &exact{in: z, left: n}, nil
}

// exact reads an exact number of bytes, and fails if the input contains more or fewer.
type exact struct {
	in   io.Reader
	left int64
}

var errTableSize = errors.New("the size differs from the size in the footer or annotation")

func (e *exact) Read(p []byte) (int, error) {
	n, err := e.in.Read(p)
	if e.left -= int64(n); e.left < 0 || e.left > 0 && errors.Is(err, io.EOF) {
		return 0, errTableSize
	}
	return n, err
}

// parse reads the table of contents.
func (t *Tables) parse(toc []byte) error {
	z, in, err := unpack(toc, t.toc.unpacked)
	if err != nil {
		return err
	}
	defer z.Close()
	dec := json.NewDecoder(in)
	if err := expect(dec, '{'); err != nil {
		return err
	}
	version := 0
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		switch key {
		case "version":
			err = dec.Decode(&version)
		case "entries":
			err = t.parseEntries(dec)
		case "tarSplitDigest":
			err = dec.Decode(&t.splitDigest)
		default:
			var other json.RawMessage
			err = dec.Decode(&other)
		}
		if err != nil {
			return err
		}
	}
	if err := expect(dec, '}'); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("extra bytes after the end of the table")
	}
	if version != tocVersion {
		return fmt.Errorf("unknown version %d: only %d is supported", version, tocVersion)
	}
	return nil
}

func (t *Tables) parseEntries(dec *json.Decoder) error {
	if t.Entries != nil {
		return errors.New("duplicate list of entries")
	}
	if err := expect(dec, '['); err != nil {
		return err
	}
	t.Entries = []Entry{}
	for dec.More() {
		if len(t.Entries) == maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		var e Entry
		if err := dec.Decode(&e); err != nil {
			return fmt.Errorf("entry %d: %w", len(t.Entries), err)
		}
		t.Entries = append(t.Entries, e)
	}
	return expect(dec, ']')
}

// expect reads a delimiter.
func expect(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if err == nil && got != want {
		err = fmt.Errorf("found %q, expected %q", fmt.Sprint(got), want.String())
	}
	return err
}

// A Chunk is a part of a file in a blob.
type Chunk struct {
	Name   string // name of the file
	File   digest.Digest
	Digest digest.Digest // digest of the chunk, or of the file if the chunk is the whole file
	Offset int64         // offset in the file
	Size   int64
	Start  int64 // offset in the blob
	End    int64 // end offset in the blob; tar headers can precede it
	Hole   bool  // only zeros, which clients do not fetch
	Last   bool  // the last chunk of its file
}

// Chunks returns the chunks of all files, in the order of the table.
func (t *Tables) Chunks() ([]Chunk, error) {
	var list []Chunk
	for i := 0; i < len(t.Entries); i++ {
		e := &t.Entries[i]
		if e.Type == typeChunk {
			return nil, fmt.Errorf("entry %q: a chunk that does not follow its file", e.Name)
		}
		if e.Type != typeFile || e.Size == 0 {
			continue
		}
		n := 1
		for i+n < len(t.Entries) && t.Entries[i+n].Type == typeChunk {
			n++
		}
		chunks, err := chunksOf(t.Entries[i : i+n])
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", e.Name, err)
		}
		list = append(list, chunks...)
		i += n - 1
	}
	for i := range list {
		switch end := t.Start(); {
		case i+1 < len(list) && list[i+1].Start < list[i].Start:
			return nil, fmt.Errorf("entry %q: the chunks are not in order", list[i+1].Name)
		case i+1 < len(list):
			end = list[i+1].Start
			fallthrough
		default:
			if list[i].End == 0 || list[i].End > end {
				list[i].End = end
			}
		}
	}
	return list, nil
}

// chunksOf returns the chunks of a file. The first entry contains the metadata.
func chunksOf(entries []Entry) ([]Chunk, error) {
	first := &entries[0]
	if err := first.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w", first.Digest, err)
	}
	if len(entries) == 1 {
		return []Chunk{{
			Name: first.Name, File: first.Digest, Digest: first.Digest, Size: first.Size,
			Start: first.Offset, End: first.EndOffset, Last: true,
		}}, nil
	}
	list := make([]Chunk, len(entries))
	var at int64
	for i := range entries {
		e := &entries[i]
		err := e.ChunkDigest.Validate()
		switch {
		case err != nil:
			return nil, fmt.Errorf("chunk digest %q: %w", e.ChunkDigest, err)
		case e.Name != first.Name:
			return nil, fmt.Errorf("the next entry is a chunk named %q", e.Name)
		case e.ChunkOffset != at || e.ChunkSize <= 0 || e.ChunkSize > first.Size-at:
			return nil, fmt.Errorf("a chunk with %d bytes at file offset %d does not follow the previous chunk", e.ChunkSize, e.ChunkOffset)
		}
		list[i] = Chunk{
			Name: first.Name, File: first.Digest, Digest: e.ChunkDigest, Offset: at, Size: e.ChunkSize,
			Start: e.Offset, Hole: e.ChunkType == zeros, Last: i == len(entries)-1,
		}
		at += e.ChunkSize
	}
	if at != first.Size {
		return nil, fmt.Errorf("the chunks cover only %d of %d bytes", at, first.Size)
	}
	list[len(list)-1].End = max(first.EndOffset, entries[len(entries)-1].EndOffset)
	return list, nil
}
