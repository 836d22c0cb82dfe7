package plan

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"

	"github.com/klauspost/compress/zstd"

	"chunkah/format"
	"chunkah/lib/filelist"
)

// FilesType is the media type of an image's file list (format/SPEC.md, section 13).
const FilesType = "application/vnd.chunkah.files.v1"

// Limits of the file list. They are higher than any image needs, but low enough to be harmless.
const (
	maxFilesBytes = 1 << 30 // decompressed
	maxWindow     = 8 << 20 // window of the decoder
	maxEntries    = 4 << 20
)

// normal returns a copy of an entry with only the fields that are part of a layer's entry digest.
// further reports whether the entry is an additional name of an inode. names contains the inodes of
// the previous entries.
func normal(f *format.File, names *links) (_ format.File, further bool) {
	n := *f
	n.Stamp, n.Components, n.Implied, n.MTimeNsec = "", nil, false, 0
	if n.Type == format.TypeWhiteout {
		return format.File{Path: f.Path, Type: f.Type}, false
	}
	if n.Hardlink != 0 {
		var first bool
		if n.Hardlink, first = names.number(n.Hardlink); !first {
			n.Digest, n.Xattrs = format.Digest{}, nil
			return n, true
		}
	}
	for i, x := range n.Xattrs {
		if len(x.Value) == 0 { // clients do not read xattrs without a value
			kept := append([]format.Xattr(nil), n.Xattrs[:i]...)
			for _, x := range n.Xattrs[i+1:] {
				if len(x.Value) > 0 {
					kept = append(kept, x)
				}
			}
			n.Xattrs = kept
			break
		}
	}
	if len(n.Xattrs) == 0 {
		n.Xattrs = nil
	}
	return n, false
}

// links numbers the inodes of one layer that have several names.
type links struct{ numbers map[int64]int64 }

// number returns the number of a group, and whether the group is new.
func (l *links) number(group int64) (n int64, first bool) {
	n, known := l.numbers[group]
	if !known {
		if l.numbers == nil {
			l.numbers = make(map[int64]int64)
		}
		n = int64(len(l.numbers) + 1)
		l.numbers[group] = n
	}
	return n, !known
}

// Entries computes layer.entries, the digest of a layer's entries, record by record. The digest is
// empty if a regular file has no digest.
type Entries struct {
	hash    hash.Hash
	out     *format.Writer
	links   links
	file    format.File // the last entry; a new one each time would be garbage
	unknown bool
	err     error
}

// NewEntries starts a layer.
func NewEntries() *Entries {
	h := sha256.New()
	return &Entries{hash: h, out: format.NewSequenceWriter(h, format.Msgpack)}
}

// Add adds an entry.
func (e *Entries) Add(f *format.File) {
	var further bool
	e.file, further = normal(f, &e.links)
	if e.file.Type == format.TypeFile && !e.file.Digest.Known() && !further {
		e.unknown = true
	}
	if err := e.out.Write(&e.file); err != nil && e.err == nil {
		e.err = err
	}
}

// Digest returns the digest.
func (e *Entries) Digest() (string, error) {
	if err := errors.Join(e.err, e.out.Finish()); err != nil {
		return "", err
	}
	if e.unknown {
		return "", nil
	}
	return format.NewDigest([sha256.Size]byte(e.hash.Sum(nil))).String(), nil
}

// EntriesOf returns the entry digest of files.
func EntriesOf(files iter.Seq[*format.File]) (string, error) {
	e := NewEntries()
	for f := range files {
		e.Add(f)
	}
	return e.Digest()
}

// FilesWriter writes an image's file list.
type FilesWriter struct {
	z     *zstd.Encoder
	out   *format.Writer
	links links
	file  format.File // the last entry
}

// listWindow is the window of the encoder in bytes. A larger window makes the list of a Debian
// system no smaller, but the encoder and the decoder each need as much memory as the window has
// bytes.
const listWindow = 512 << 10

// NewFilesWriter starts the file list of an image.
func NewFilesWriter(w io.Writer) (*FilesWriter, error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(listWindow), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	f := &FilesWriter{z: z, out: format.NewWriter(z, format.Msgpack)}
	return f, f.out.Write(&format.Header{Version: format.Version, Stage: format.StagePack})
}

// Layer starts a layer.
func (w *FilesWriter) Layer(l *format.Layer) error {
	w.links = links{}
	rec := *l
	rec.DiffID = "" // a diffID would mark the layer as kept
	return w.out.Write(&rec)
}

// File adds an entry.
func (w *FilesWriter) File(f *format.File) error {
	w.file, _ = normal(f, &w.links)
	return w.out.Write(&w.file)
}

// Close completes the file list.
func (w *FilesWriter) Close() error { return errors.Join(w.out.Finish(), w.z.Close()) }

// filesSink writes the file list of a stream that passes through it.
type filesSink struct {
	format.Sink
	list *FilesWriter // nil before the first layer, because it needs memory
	data blocks
	done func(list io.WriterTo) error
}

// blocks are the compressed blocks of a list. Unlike in a bytes.Buffer, they take no additional
// memory, and are not copied when more blocks are written.
type blocks [][]byte

// Write implements io.Writer.
func (b *blocks) Write(p []byte) (int, error) {
	*b = append(*b, bytes.Clone(p))
	return len(p), nil
}

// WriteTo implements io.WriterTo.
func (b *blocks) WriteTo(w io.Writer) (n int64, err error) {
	for _, p := range *b {
		written, err := w.Write(p)
		if n += int64(written); err != nil {
			return n, err
		}
	}
	return n, nil
}

// NewFilesSink returns a sink that passes records on to out. Before it finishes out, it calls done
// with the file list of the records.
func NewFilesSink(out format.Sink, done func(list io.WriterTo) error) format.Sink {
	return &filesSink{Sink: out, done: done}
}

// started returns the list. It starts the list if necessary.
func (s *filesSink) started() (_ *FilesWriter, err error) {
	if s.list == nil {
		s.list, err = NewFilesWriter(&s.data)
	}
	return s.list, err
}

// Write implements format.Sink. It writes the record to the list first, because afterwards the
// record belongs to the next stage.
func (s *filesSink) Write(rec format.Record) error {
	if err := s.add(rec); err != nil {
		return fmt.Errorf("listing the files of the image: %w", err)
	}
	return s.Sink.Write(rec)
}

func (s *filesSink) add(rec format.Record) error {
	switch rec.(type) {
	case *format.Layer, *format.File:
	default:
		return nil
	}
	list, err := s.started()
	if err != nil {
		return err
	}
	if l, ok := rec.(*format.Layer); ok {
		return list.Layer(l)
	}
	return list.File(rec.(*format.File))
}

// Finish implements format.Sink.
func (s *filesSink) Finish() error {
	list, err := s.started()
	if err == nil {
		err = list.Close()
	}
	if err != nil {
		return fmt.Errorf("listing the files of the image: %w", err)
	}
	if err := s.done(&s.data); err != nil {
		return err
	}
	return s.Sink.Finish()
}

// zstdMagic is the first byte of every zstd frame.
const zstdMagic = 0x28

// unpack decompresses a file list.
func unpack(r io.Reader) (io.ReadCloser, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(z, maxFilesBytes), z.IOReadCloser()}, nil
}

// ReadFiles reads an image's file list. It returns the entries of each layer, keyed by the digest
// of the entries. It leaves out layers whose entries do not match the recorded digest. The note
// describes faults in one line; it is empty if there are none. An error is always a read error.
func ReadFiles(r io.Reader, name string) (layers map[string]filelist.List, note string, err error) {
	in := &failing{Reader: r}
	z, err := unpack(in)
	if err != nil {
		return nil, fmt.Sprintf("%s: %s", name, err), in.err
	}
	defer z.Close()
	layers = make(map[string]filelist.List)
	records := format.NewReader(z, name)
	var at *format.Layer
	var files filelist.List
	var entries *Entries // of files; nil if the layer has no digest of its entries
	left := maxEntries
	count, wrong := 0, 0 // layers
	done := func() error {
		if entries == nil {
			return nil
		}
		got, err := entries.Digest()
		if err == nil && got == at.Entries {
			layers[got] = files
		} else {
			wrong++
		}
		return err
	}
	for rec, fault := range format.All(records) {
		if fault != nil {
			return layers, fmt.Sprintf("%s: using the %d layers before the damage", fault, len(layers)), in.err
		}
		switch rec := rec.(type) {
		case *format.Layer:
			if err := done(); err != nil {
				return layers, "", err
			}
			if count++; count > maxLayers { // even a layer without files takes memory and time
				return layers, fmt.Sprintf("%s: more than %d layers: using the %d layers before the damage", name, maxLayers, len(layers)), nil
			}
			at, files, entries = rec, filelist.List{}, nil
			if at.Entries != "" {
				entries = NewEntries()
			}
		case *format.File:
			if left--; left < 0 {
				return layers, fmt.Sprintf("%s: more than %d files: using the %d layers before the damage", name, maxEntries, len(layers)), nil
			}
			if entries != nil {
				entries.Add(rec)
				files.Append(rec)
			}
		}
	}
	if err := done(); err != nil {
		return layers, "", err
	}
	if wrong > 0 {
		note = fmt.Sprintf("%s: skipping the file lists of %d layers, which do not match their digests", name, wrong)
	}
	return layers, note, nil
}

// failing records its reader's error.
type failing struct {
	io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}
