package metrics

import "sync/atomic"

// Work is what a stage has to do beside its streams, in bytes, and what of that is done. Both grow:
// what there is to do may only be found out on the way. A nil Work counts nothing. It may be used
// from any goroutine.
type Work struct{ expected, done atomic.Int64 }

// Expect adds to what there is to do.
func (w *Work) Expect(n int64) {
	if w != nil {
		w.expected.Add(n)
	}
}

// Did adds to what is done.
func (w *Work) Did(n int64) {
	if w != nil {
		w.done.Add(n)
	}
}

// Work is the stage's.
func (s *Stage) Work() *Work {
	if s == nil {
		return nil
	}
	return &s.work
}

// Status is how far a stage has come.
type Status struct {
	Stage string
	Files int64 // and of its streams so far: files, and
	Bytes int64 // the bytes that they hold
	// Done of Expected bytes are read and written; Expected is 0 as long as nobody knows.
	Done, Expected int64
}

// Status tells of the first stage that has not ended, the last one where all have. It may be called
// from any goroutine once all stages are there.
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
	if st.Files == 0 { // it has put out nothing yet
		st.Files, st.Bytes = s.in.files.Load(), s.in.bytes.Load()
	}
	st.Done = min(s.work.done.Load(), st.Expected) // what was done again is done once
	return st
}

// Ended tells of the stages that have ended, in order, up to the first that has not.
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
	Seconds float64 // of its own
}

// Took is the time that each stage took of the run so far.
func (r *Run) Took() []Span {
	var spans []Span
	for _, d := range r.document().Stages {
		spans = append(spans, Span{d.Name, d.WallSeconds})
	}
	return spans
}

// Span is the time that a stage took.
type Span struct {
	Stage   string
	Seconds float64
}
