package write

import (
	"io"

	"chunkah/lib/metrics"
	"chunkah/lib/oci"
)

// expect counts what there is to do: each layer once, and once more where only its
// digest stays of the first time.
func (w *writer) expect() {
	times := int64(1)
	if !w.compressed() && w.entries == nil && w.access != oci.BlobFiles {
		times = 2
	}
	for _, l := range w.img.layers {
		w.opt.Work.Expect(times * l.size)
	}
}

// counted counts what is written to out as work that is done.
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
