// Package digests adds content digests to file records.
package digests

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"chunkah/format"
	"chunkah/lib/layer"
)

// Reader reads the contents of files. Only one goroutine can use it.
type Reader interface {
	layer.Content
	Close() error
}

// queueLength is the number of records that are read ahead of the record to be written, so that
// other cores are not idle while a large file is read.
const queueLength = 4096

// Sink passes records on in order, with the digests of regular files added. Close it after use.
type Sink struct {
	ctx    context.Context //nolint:containedctx // context for all reading, because Write has no parameter for it
	cancel context.CancelCauseFunc
	out    format.Sink
	jobs   chan *job // for workers
	order  chan *job // for the writer
	links  map[int64]*job
	done   sync.WaitGroup
	mu     sync.Mutex
	err    error
}

// job is one record.
type job struct {
	rec   format.Record
	file  *format.File // file to read
	first *job         // the first name of the same inode
	ready chan struct{}
	// digest is set when the record is passed on.
	digest format.Digest
}

// NewSink returns a sink that reads files on all cores.
func NewSink(ctx context.Context, out format.Sink, newReader func() Reader) *Sink {
	s := &Sink{out: out, jobs: make(chan *job, queueLength), order: make(chan *job, queueLength), links: make(map[int64]*job)}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	jobs, order := s.jobs, s.order
	for range runtime.GOMAXPROCS(0) {
		s.done.Go(func() {
			r := newReader()
			err := s.read(r, jobs)
			s.fail(errors.Join(err, r.Close()))
		})
	}
	s.done.Go(func() { s.fail(s.pass(order)) })
	return s
}

// Write implements format.Sink.
func (s *Sink) Write(rec format.Record) error {
	j := &job{rec: rec}
	f, ok := rec.(*format.File)
	if ok && f.Type == format.TypeFile && !f.Digest.Known() {
		switch first := s.links[f.Hardlink]; {
		case f.Size == 0:
			f.Digest = format.EmptyDigest
		case f.Hardlink != 0 && first != nil:
			j.first = first
		default:
			j.file, j.ready = f, make(chan struct{})
			if f.Hardlink != 0 {
				s.links[f.Hardlink] = j
			}
		}
	}
	if j.file != nil {
		select {
		case s.jobs <- j:
		case <-s.ctx.Done():
			return s.failed()
		}
	}
	select {
	case s.order <- j:
		return nil
	case <-s.ctx.Done():
		return s.failed()
	}
}

// Finish implements format.Sink.
func (s *Sink) Finish() error {
	if err := s.stop(); err != nil {
		return err
	}
	return s.out.Finish()
}

// stop waits until all records are written.
func (s *Sink) stop() error {
	if s.jobs != nil {
		close(s.jobs)
		close(s.order)
		s.jobs, s.order = nil, nil
	}
	s.done.Wait()
	return s.failed()
}

// Close stops reading. After Finish it does nothing.
func (s *Sink) Close() {
	s.cancel(errClosed)
	_ = s.stop() // Write or Finish already returned this error
}

var errClosed = errors.New("the stream was not finished")

// fail records the first error and stops reading.
func (s *Sink) fail(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		s.cancel(err)
	}
}

// failed returns the error that stopped reading.
func (s *Sink) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return s.err
}

// read reads files until none are left.
func (s *Sink) read(r Reader, jobs <-chan *job) error {
	for j := range jobs {
		h := sha256.New()
		n, err := r.WriteFile(s.ctx, h, j.file)
		if err == nil && n != j.file.Size {
			err = fmt.Errorf("reading %q: got %d bytes, expected %d", j.file.Path, n, j.file.Size)
		}
		if err != nil {
			return err
		}
		j.file.Digest = format.NewDigest([sha256.Size]byte(h.Sum(nil)))
		close(j.ready)
	}
	return nil
}

// pass writes the records in order.
func (s *Sink) pass(order <-chan *job) error {
	for j := range order {
		if j.ready != nil {
			select {
			case <-j.ready:
			case <-s.ctx.Done():
				return context.Cause(s.ctx)
			}
		}
		if j.first != nil { // the first name was passed on before this record, so its digest is known
			j.rec.(*format.File).Digest = j.first.digest
		}
		if j.file != nil {
			j.digest = j.file.Digest // the record belongs to the next stage from here on
		}
		if err := s.out.Write(j.rec); err != nil {
			return err
		}
	}
	return nil
}
