package write

import (
	"io"

	"chunkah/lib/metrics"
	"chunkah/lib/oci"
)

// countExpected counts the expected work, so that the total is known from the start. Each layer is
// counted once. A layer is counted a second time if the first pass keeps only its digest, or if the
// layer is sent. It is counted once more if it is first looked up among the blobs of earlier
// builds.
func (w *writer) countExpected() {
	times := int64(1)
	if w.access == oci.Network || !w.compressed() && w.entries == nil && w.access != oci.BlobFiles {
		times++
	}
	if w.seeks() {
		times++
	}
	for _, l := range w.img.layers {
		w.opt.Work.Expect(times * l.size)
	}
	for _, k := range w.copied() {
		w.opt.Work.Expect(k.Descriptor.Size)
	}
}

// sending counts the work of sending a blob. The work is measured by the size of the tar, since the
// size of the blob is not known from the start.
type sending struct {
	work        *metrics.Work
	size, worth int64
	done        int64
}

// to counts what is written to out. A blob that is sent again, or to several outputs, counts only
// once.
func (s *sending) to(out io.Writer) io.Writer { return &sentWriter{Writer: out, of: s} }

func (s *sending) count(sent int64) {
	done := s.worth
	if sent < s.size {
		done = int64(float64(s.worth) * float64(sent) / float64(s.size))
	}
	if done > s.done {
		s.work.Did(done - s.done)
		s.done = done
	}
}

type sentWriter struct {
	io.Writer
	of   *sending
	sent int64
}

func (w *sentWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.sent += int64(n)
	w.of.count(w.sent)
	return n, err
}

// counted counts the bytes that are written to out as finished work.
func (w *writer) counted(out io.Writer) io.Writer {
	if w.opt.Work == nil {
		return out
	}
	return worker{out, w.opt.Work}
}

type worker struct {
	io.Writer
	work *metrics.Work
}

func (w worker) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.work.Did(int64(n))
	return n, err
}
