package write

import (
	"io"

	"chunkah/lib/metrics"
	"chunkah/lib/oci"
)

// expect counts the expected work: each layer once, and twice if the first pass keeps only its
// digest.
func (w *writer) expect() {
	times := int64(1)
	if !w.compressed() && w.entries == nil && w.access != oci.BlobFiles {
		times = 2
	}
	for _, l := range w.img.layers {
		w.opt.Work.Expect(times * l.size)
	}
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
