package cli

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"chunkah/format"
	"chunkah/lib/metrics"
	"chunkah/lib/pipeline"
	"chunkah/lib/report"
)

// metricsFlags are shared by all commands that process files.
type metricsFlags struct {
	Metrics string `long:"metrics" value-name:"FILE" unquote:"false" description:"write the time, files, bytes and memory of the run to FILE, as JSON" section:"Run" brief:"write time and memory of the run to FILE, as JSON"`
}

// measurement contains the metrics of a run.
type measurement struct {
	*metrics.Run        // nil if neither a file nor a progress bar needs it
	file         string // for --metrics, or empty
	stopDrawing  func() // nil if nothing is drawn
}

// measure starts the measurement of a command.
func (f *metricsFlags) measure(env *Env, command string) (*measurement, error) {
	if err := checkOutputFile("--metrics", f.Metrics); err != nil {
		return nil, err
	}
	name := env.Name
	if _, alone := programs[name]; !alone {
		name += " " + command
	}
	return &measurement{Run: metrics.Start(name), file: f.Metrics}, nil
}

// measureStage starts the measurement of a command that is a single stage. If neither a file nor a
// progress bar needs it, the stage is nil and counts nothing.
func (f *metricsFlags) measureStage(env *Env, name string, draws bool) (*measurement, *metrics.Stage, error) {
	m, stage, err := f.startStage(env, name, draws)
	if err == nil && draws {
		m.draw(env)
	}
	return m, stage, err
}

// startStage does the same as measureStage for a stage that draws later.
func (f *metricsFlags) startStage(env *Env, name string, draws bool) (*measurement, *metrics.Stage, error) {
	if f.Metrics == "" && !draws {
		return &measurement{}, nil, nil
	}
	m, err := f.measure(env, name)
	if err != nil {
		return nil, nil, err
	}
	return m, m.Stage(name), nil
}

// draw draws a progress bar until end is called.
func (m *measurement) draw(env *Env) { m.stopDrawing = env.console().Draw(m.Status) }

// end removes the progress bar.
func (m *measurement) end() {
	if m.stopDrawing != nil {
		m.stopDrawing()
		m.stopDrawing = nil
	}
}

// write writes the file that --metrics requests. The image or stream is complete by then, so an
// error is only a warning. The warning is printed even with -q, because the user requested the
// file.
func (m *measurement) write(ctx context.Context, env *Env) {
	if m.file == "" {
		return
	}
	if err := m.WriteFile(ctx, m.file); err != nil {
		env.console().Say(slog.LevelWarn, "%w", err)
	}
}

// metricsFile returns the file of a previous run, which scan must exclude from the root.
func (f *metricsFlags) metricsFile() []os.FileInfo { return existingFile(f.Metrics) }

// existingFile returns the file that a run will replace, or nothing if no such file exists.
func existingFile(name string) []os.FileInfo {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return []os.FileInfo{info}
}

// stage measures a stage of build. add adds metrics that cannot be read from the streams.
func (m *measurement) stage(s pipeline.Stage, told *report.Milestones, add func(*metrics.Stage)) pipeline.Stage {
	measured := m.Stage(s.Name)
	return pipeline.Stage{Name: s.Name, Run: func(ctx context.Context, in format.Source, out format.Sink) error {
		if err := s.Run(ctx, measured.In(in), measured.Out(out)); err != nil {
			return err
		}
		if add != nil {
			add(measured)
		}
		measured.Done()
		if told != nil {
			told.Report()
		}
		return nil
	}}
}

// checkOutputFile refuses the file of an option if it could not be written at the end of the run.
func checkOutputFile(option, file string) error {
	switch {
	case file == "":
		return nil
	case isDir(file):
		return usagef("%s %q is a directory: use a file", option, file)
	case !isDir(filepath.Dir(file)):
		return usagef("the directory of %s %q does not exist: create it, or choose another one", option, file)
	}
	return nil
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
