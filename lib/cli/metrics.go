package cli

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"chunkah/format"
	"chunkah/lib/metrics"
	"chunkah/lib/pipeline"
)

// metricsFlags are in every command that does something.
type metricsFlags struct {
	Metrics string `long:"metrics" value-name:"FILE" unquote:"false" description:"write to FILE what the run took, as JSON: seconds, files, bytes and memory" section:"Run" brief:"write what the run took to FILE, as JSON"`

	measured *metrics.Run // nil where nobody wants to know
	stop     func()       // ends what is drawn; nil for nothing
}

// startMetrics starts to measure. A folder that is not there is a mistake to tell
// before the work.
func (f *metricsFlags) startMetrics(env *Env, command string) error {
	if dir := filepath.Dir(f.Metrics); f.Metrics != "" && (!isDir(dir) || isDir(f.Metrics)) {
		return usagef("--metrics %q is no name of a file in a folder that is there: make the folder, or name another", f.Metrics)
	}
	name := env.Name
	if _, alone := stages[name]; !alone {
		name += " " + command
	}
	f.measured = metrics.Start(name)
	return nil
}

// startStage starts to measure a command of one stage, if that is asked for or shown.
func (f *metricsFlags) startStage(env *Env, name string, draws bool) (*metrics.Stage, error) {
	if f.Metrics == "" && !draws {
		return nil, nil
	}
	if err := f.startMetrics(env, name); err != nil {
		return nil, err
	}
	stage := f.measured.Stage(name)
	if draws {
		f.stop = env.console().Draw(f.measured.Status)
	}
	return stage, nil
}

// endStage ends what is drawn of a stage.
func (f *metricsFlags) endStage() {
	if f.stop != nil {
		f.stop()
		f.stop = nil
	}
}

// writeMetrics writes the file. What was asked for is there by now, so that a
// fault of this is none of the command's. It is told to those who said -q too: they
// asked for the file.
func (f *metricsFlags) writeMetrics(ctx context.Context, env *Env) {
	if f.Metrics == "" {
		return
	}
	if err := f.measured.WriteFile(ctx, f.Metrics); err != nil {
		env.say(slog.LevelWarn, "%w", err)
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
func (f *metricsFlags) measure(s pipeline.Stage, told *milestones, report func(*metrics.Stage)) pipeline.Stage {
	m := f.measured.Stage(s.Name)
	return pipeline.Stage{Name: s.Name, Run: func(ctx context.Context, in format.Source, out format.Sink) error {
		if err := s.Run(ctx, m.In(in), m.Out(out)); err != nil {
			return err
		}
		if report != nil {
			report(m)
		}
		m.Done()
		told.tell()
		return nil
	}}
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
