package cli

import (
	"context"
	"os"
	"path/filepath"

	"chunkah/format"
	"chunkah/lib/metrics"
	"chunkah/lib/pipeline"
)

// metricsFlags are in every command that does something.
type metricsFlags struct {
	Metrics string `long:"metrics" value-name:"FILE" unquote:"false" description:"write to FILE what the run took, as JSON: seconds, files, bytes and memory" section:"Run" brief:"write what the run took to FILE, as JSON"`

	measured *metrics.Run // nil where nobody asked
}

// startMetrics starts to measure if that is asked for. A folder that is not there
// is a mistake to tell before the work.
func (f *metricsFlags) startMetrics(env *Env, command string) error {
	if f.Metrics == "" {
		return nil
	}
	if dir := filepath.Dir(f.Metrics); !isDir(dir) || isDir(f.Metrics) {
		return usagef("--metrics %q is no name of a file in a folder that is there: make the folder, or name another", f.Metrics)
	}
	name := env.Name
	if _, alone := stages[name]; !alone {
		name += " " + command
	}
	f.measured = metrics.Start(name)
	return nil
}

// startStage is startMetrics for a command of one stage.
func (f *metricsFlags) startStage(env *Env, name string) (*metrics.Stage, error) {
	err := f.startMetrics(env, name)
	return f.measured.Stage(name), err
}

// writeMetrics writes the file. What was asked for is there by now, so that a
// fault of this is none of the command's.
func (f *metricsFlags) writeMetrics(env *Env) {
	if f.measured == nil {
		return
	}
	if err := f.measured.WriteFile(f.Metrics); err != nil {
		env.warn("%s", err)
	}
}

// metricsFile describes the file of an earlier run, which is no part of a root.
func (f *metricsFlags) metricsFile() []os.FileInfo { return earlier(f.Metrics) }

// earlier describes a file that a run is to replace, nothing where it is not there.
func earlier(name string) []os.FileInfo {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return []os.FileInfo{info}
}

// measure adds a stage of build to what is measured; report tells of it what its
// streams do not.
func (f *metricsFlags) measure(s pipeline.Stage, report func(*metrics.Stage)) pipeline.Stage {
	m := f.measured.Stage(s.Name)
	if m == nil {
		return s
	}
	return pipeline.Stage{Name: s.Name, Run: func(ctx context.Context, in format.Source, out format.Sink) error {
		if err := s.Run(ctx, m.In(in), m.Out(out)); err != nil {
			return err
		}
		if report != nil {
			report(m)
		}
		m.Done()
		return nil
	}}
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
