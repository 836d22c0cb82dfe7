package metrics

import (
	"io"
	"sync/atomic"
)

// Work is the amount of work, in bytes, that a stage does in addition to processing its streams,
// and the part of this work that is done. Both numbers can grow, because the total may become known
// only during the work. A nil Work counts nothing. Any goroutine can use a Work.
type Work struct{ expected, done atomic.Int64 }

// Expect adds to the total.
func (w *Work) Expect(n int64) {
	if w != nil {
		w.expected.Add(n)
	}
}

// Did adds to the part that is done.
func (w *Work) Did(n int64) {
	if w != nil {
		w.done.Add(n)
	}
}

// Reader wraps a reader and counts the bytes that are read from it as done.
func (w *Work) Reader(in io.Reader) io.Reader { return &workReader{in, w} }

type workReader struct {
	in   io.Reader
	work *Work
}

func (r *workReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	r.work.Did(int64(n))
	return n, err
}

// Work returns the stage's work.
func (s *Stage) Work() *Work {
	if s == nil {
		return nil
	}
	return &s.work
}

// Status is the progress of a stage.
type Status struct {
	Stage string
	Files int64 // files in its streams so far
	Bytes int64 // total size of these files
	// Done is the number of bytes read and written so far. Expected is the total, or 0 while it is
	// unknown.
	Done, Expected int64
}

// Status returns the status of the first stage that has not ended, or of the last stage if all have
// ended. After all stages are added, any goroutine can call Status.
func (r *Run) Status() Status {
	for _, s := range r.stages {
		if !s.ended.Load() {
			return s.status()
		}
	}
	return r.stages[len(r.stages)-1].status()
}

func (s *Stage) status() Status {
	st := Status{Stage: s.name, Files: s.out.files.Load(), Bytes: s.out.bytes.Load(), Expected: s.work.expected.Load()}
	if st.Files == 0 { // no output yet
		st.Files, st.Bytes = s.in.files.Load(), s.in.bytes.Load()
	}
	if st.Done = s.work.done.Load(); st.Expected > 0 {
		st.Done = min(st.Done, st.Expected) // repeated work counts once
	}
	return st
}

// Ended returns the stages that have ended, in order, up to the first stage that has not ended.
func (r *Run) Ended() []Milestone {
	var list []Milestone
	last := r.start
	for _, s := range r.stages {
		if !s.ended.Load() {
			break
		}
		at := s.end.wall
		if at.Before(last) {
			at = last
		}
		list = append(list, Milestone{s.status(), at.Sub(last).Seconds()})
		last = at
	}
	return list
}

// Milestone is the end of a stage.
type Milestone struct {
	Status
	Seconds float64 // of this stage
}

// Took returns the time of each stage so far.
func (r *Run) Took() []Span {
	var spans []Span
	for _, d := range r.document().Stages {
		spans = append(spans, Span{d.Name, d.WallSeconds})
	}
	return spans
}

// Span is the time of a stage.
type Span struct {
	Stage   string
	Seconds float64
}
