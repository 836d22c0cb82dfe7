// Package metrics says what a run took: for each stage its time, files and bytes,
// and the process's memory, as one JSON document.
//
// Stages that are joined in one process run side by side, and no clock tells
// their processor time apart. But each takes in its whole stream before it hands
// on the first record that it works on, so what happens between the end of one
// stage and that of the next is the work of the latter: those seconds are its
// own. They add up to those of the run.
package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"chunkah/format"
	"chunkah/lib/fifo"
	"chunkah/lib/replace"
)

// Run is one run of a command. A nil Run measures nothing.
type Run struct {
	command string
	start   time.Time
	stages  []*Stage
}

// Stage is one stage of a run. A nil Stage measures nothing. Its methods are for
// the goroutine that runs the stage; how far it is, any may ask.
type Stage struct {
	name    string
	in, out counts
	// blobs and reused are the bytes of an image's layers, and of those that were
	// taken from a cache.
	blobs, reused int64
	digest        string // of the image's manifest
	work          Work
	end           clock // not to be read before ended
	ended         atomic.Bool
}

// clock is a moment of a run.
type clock struct {
	wall time.Time
	cpu  time.Duration
}

func now() clock { return clock{time.Now(), cpuTime()} }

// Start starts to measure. Processor time and memory are the process's from its
// own start.
func Start(command string) *Run { return &Run{command: command, start: time.Now()} }

// Stage adds the next stage.
func (r *Run) Stage(name string) *Stage {
	if r == nil {
		return nil
	}
	s := &Stage{name: name}
	r.stages = append(r.stages, s)
	return s
}

// Last is the stage that was added last.
func (r *Run) Last() *Stage { return r.stages[len(r.stages)-1] }

// Done notes that the stage has ended.
func (s *Stage) Done() {
	if s != nil {
		s.end = now()
		s.ended.Store(true)
	}
}

// Wrote notes what a stage has written that is no stream: an image, by the digest of its manifest.
func (s *Stage) Wrote(blobs, reused int64, digest string) {
	if s != nil {
		s.blobs, s.reused, s.digest = blobs, reused, digest
	}
}

// In counts what comes in by in, which may be nil.
func (s *Stage) In(in format.Source) format.Source {
	if s == nil || in == nil {
		return in
	}
	return countedSource{in, &s.in}
}

// Out counts what goes out by out, which may be nil.
func (s *Stage) Out(out format.Sink) format.Sink {
	if s == nil || out == nil {
		return out
	}
	return countedSink{out, &s.out}
}

// document is what is written.
type document struct {
	Command     string          `json:"command"`
	WallSeconds float64         `json:"wall_seconds"`
	CPUSeconds  float64         `json:"cpu_seconds"`
	PeakMemory  int64           `json:"peak_memory_bytes"`
	Stages      []stageDocument `json:"stages"`
}

// stageDocument tells files and bytes of what the stage has put out: records and
// the sizes of the files that they stand for, or blobs.
type stageDocument struct {
	Name        string  `json:"name"`
	WallSeconds float64 `json:"wall_seconds"`
	CPUSeconds  float64 `json:"cpu_seconds"`
	Files       int64   `json:"files"`
	BytesIn     int64   `json:"bytes_in"`
	BytesOut    int64   `json:"bytes_out"`
	BytesReused int64   `json:"bytes_reused"`
	Digest      string  `json:"digest,omitempty"`
}

func (r *Run) document() document {
	end := now()
	doc := document{
		Command: r.command, PeakMemory: PeakMemory(),
		WallSeconds: end.wall.Sub(r.start).Seconds(), CPUSeconds: end.cpu.Seconds(),
	}
	last := clock{wall: r.start}
	for i, s := range r.stages {
		at := end // what is left belongs to the last
		if i < len(r.stages)-1 && s.ended.Load() {
			at = s.end
		}
		if at.wall.Before(last.wall) {
			at = last // it ended before the stage that feeds it had come to rest
		}
		d := stageDocument{
			Name: s.name, Files: s.in.files.Load(), BytesIn: s.in.bytes.Load(), BytesOut: s.out.bytes.Load(), BytesReused: s.reused, Digest: s.digest,
			WallSeconds: at.wall.Sub(last.wall).Seconds(), CPUSeconds: (at.cpu - last.cpu).Seconds(),
		}
		if n := s.out.files.Load(); n > 0 {
			d.Files = n
		}
		if s.blobs > 0 {
			d.BytesOut = s.blobs
		}
		doc.Stages = append(doc.Stages, d)
		last = at
	}
	return doc
}

// WriteFile writes the document to a file, which has it whole or is as it was. To
// a pipe or a device it is written straight, to a pipe once somebody reads it.
func (r *Run) WriteFile(ctx context.Context, name string) error {
	data, err := json.MarshalIndent(r.document(), "", "  ")
	if err == nil {
		_, err = fifo.Open(ctx, name, func(name string) (any, error) { return nil, replace.File(name, append(data, '\n')) })
	}
	if err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}
