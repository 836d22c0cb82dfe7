// Package metrics records the cost of a run in one JSON document: the time, files and bytes of each
// stage, and the memory used by the process.
//
// Stages that are joined in one process run concurrently, and the processor time of the process
// cannot be divided among them. But each stage reads its whole stream before it emits its first
// record. So the time from the end of one stage to the end of the next is spent on the later stage,
// and these times add up to the time of the run.
package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"chunkah/format"
	"chunkah/lib/temp"
)

// Run is a run of a command. A nil Run measures nothing.
type Run struct {
	command string
	start   time.Time
	stages  []*Stage
}

// Stage is a stage of a run. A nil Stage measures nothing. Only the goroutine that runs the stage
// may call its methods, but any goroutine can read its status.
type Stage struct {
	name    string
	in, out counts
	// blobs is the size of the image's layers in bytes. reused is the part of it that came from a
	// cache.
	blobs, reused int64
	digest        string // of the image's manifest
	work          Work
	end           clock // valid once the stage has ended
	ended         atomic.Bool
}

// clock is a point in time during a run.
type clock struct {
	wall time.Time
	cpu  time.Duration
}

func now() clock { return clock{time.Now(), cpuTime()} }

// Start starts measuring. Processor time and memory include everything since the start of the
// process.
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

// Last returns the most recently added stage.
func (r *Run) Last() *Stage { return r.stages[len(r.stages)-1] }

// Done records the end of the stage.
func (s *Stage) Done() {
	if s != nil {
		s.end = now()
		s.ended.Store(true)
	}
}

// Wrote records the size of the layers that a stage has written, and the digest of the image's
// manifest.
func (s *Stage) Wrote(blobs, reused int64, digest string) {
	if s != nil {
		s.blobs, s.reused, s.digest = blobs, reused, digest
	}
}

// In wraps a source, which can be nil, and counts the records that are read from it.
func (s *Stage) In(in format.Source) format.Source {
	if s == nil || in == nil {
		return in
	}
	return countedSource{in, &s.in}
}

// Out wraps a sink, which can be nil, and counts the records that are written to it.
func (s *Stage) Out(out format.Sink) format.Sink {
	if s == nil || out == nil {
		return out
	}
	return countedSink{out, &s.out}
}

// document is the JSON document.
type document struct {
	Command     string          `json:"command"`
	WallSeconds float64         `json:"wall_seconds"`
	CPUSeconds  float64         `json:"cpu_seconds"`
	PeakMemory  int64           `json:"peak_memory_bytes"`
	Stages      []stageDocument `json:"stages"`
}

// stageDocument contains the number of files and bytes in the stage's output. For records, the
// bytes are the file sizes; for an image, they are the sizes of the blobs.
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
		at := end // the rest belongs to the last stage
		if i < len(r.stages)-1 && s.ended.Load() {
			at = s.end
		}
		if at.wall.Before(last.wall) {
			at = last // the stage ended before the previous stage
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

// WriteFile writes the document to a file, atomically. Pipes and devices are written directly. For
// a pipe, WriteFile waits until another process opens it for reading.
func (r *Run) WriteFile(ctx context.Context, name string) error {
	data, err := json.MarshalIndent(r.document(), "", "  ")
	if err == nil {
		err = temp.ReplaceContext(ctx, name, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}
