package cli

import (
	"context"
	"errors"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/pipeline"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/lib/source"
)

// examineFlags are shared by the commands that examine files with their components.
type examineFlags struct {
	sourceFlags
	scanFlags
	assignFlags
	clockFlags
}

// examination is a source with the options of the stages that read it.
type examination struct {
	names  []string // of the sources
	set    *source.Set
	header format.Header
	scan   scan.Options
	assign assign.Options
	// special is the handling of special files that the options request. The scan options can
	// differ from it, because scan allows special files in images.
	special scan.Special
}

// examine opens sources. Close its set after use.
func (f *examineFlags) examine(ctx context.Context, env *Env, sources []string, opt source.Options) (*examination, error) {
	x := &examination{}
	err := f.clockFlags.apply(&x.header)
	if err != nil {
		return nil, err
	}
	if x.assign, err = f.assignFlags.options(ctx); err != nil {
		return nil, err
	}
	if x.names, err = f.sourceNames("SOURCE", sources, ""); err != nil {
		return nil, err
	}
	if x.set, err = env.openSources(ctx, x.names, opt, env.drawsProgress()); err != nil {
		return nil, err
	}
	if x.scan, err = f.scanFlags.options(env, x.set.Root, env.stdoutInfo()); err == nil {
		x.special = x.scan.Special
		x.scan, err = withSources(x.scan, x.set, &x.header)
	}
	if err != nil {
		return nil, errors.Join(err, x.set.Close())
	}
	x.assign.Root = x.set.Root
	passLayers(x.assign.Repos, x.set)
	return x, nil
}

// run scans a root and assigns its files. examiner is the name of the stage that reads the records.
// Files that cannot be stored in an image are passed to the function faults. If faults is nil, such
// files are an error.
func (x *examination) run(ctx context.Context, root *rootfs.Root, examiner string, read func(context.Context, format.Source) error, faults func([]scan.Fault)) (scanned *scan.Report, assigned *assign.Outcome, err error) {
	err = pipeline.Run(ctx,
		pipeline.Stage{Name: "scan", Run: func(ctx context.Context, _ format.Source, out format.Sink) (err error) {
			scanned, err = scan.Run(ctx, root, x.header, x.scan, out)
			if found, ok := errors.AsType[*scan.FaultsError](err); ok && faults != nil {
				faults(found.Faults)
				return out.Finish() // the rest of the output is complete
			}
			return err
		}},
		pipeline.Stage{Name: "assign", Run: func(ctx context.Context, in format.Source, out format.Sink) (err error) {
			assigned, err = assign.Run(ctx, in, out, x.assign)
			return err
		}},
		pipeline.Stage{Name: examiner, Run: func(ctx context.Context, in format.Source, _ format.Sink) error {
			return read(ctx, in)
		}},
	)
	return scanned, assigned, err
}
