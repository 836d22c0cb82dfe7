package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/interrupt"
	"chunkah/lib/repo/alpm"
	"chunkah/lib/repo/apk"
	"chunkah/lib/repo/bigfiles"
	"chunkah/lib/repo/chisel"
	"chunkah/lib/repo/composer"
	"chunkah/lib/repo/conda"
	"chunkah/lib/repo/dotnet"
	"chunkah/lib/repo/dpkg"
	"chunkah/lib/repo/golang"
	"chunkah/lib/repo/history"
	"chunkah/lib/repo/java"
	"chunkah/lib/repo/jvm"
	"chunkah/lib/repo/nix"
	"chunkah/lib/repo/node"
	"chunkah/lib/repo/opkg"
	"chunkah/lib/repo/pathmap"
	"chunkah/lib/repo/perl"
	"chunkah/lib/repo/python"
	"chunkah/lib/repo/rlang"
	"chunkah/lib/repo/rpm"
	"chunkah/lib/repo/ruby"
	"chunkah/lib/repo/xattr"
	"chunkah/lib/repo/yarn"
	"chunkah/lib/report"
	"chunkah/lib/rootfs"
	"chunkah/lib/source"
)

// repos returns all component repos in order of precedence. Options, checks and help take their
// names from this list.
func repos(mapped *pathmap.Repo) []assign.Repo {
	byPeople := []assign.Repo{xattr.Repo{}, mapped}
	return append(byPeople, &history.Repo{ByPeople: repoNames(byPeople)},
		rpm.Repo{}, dpkg.Repo{}, chisel.Repo{}, apk.Repo{}, opkg.Repo{}, alpm.Repo{}, nix.Repo{},
		conda.Repo{}, python.Repo{}, yarn.Repo{}, node.Repo{}, composer.Repo{}, ruby.Repo{}, rlang.Repo{}, perl.Repo{},
		dotnet.Repo{}, jvm.Repo{}, java.Repo{}, golang.Repo{},
		bigfiles.Repo{})
}

// passLayers passes the layers of the sources to the repo for image histories.
func passLayers(repos []assign.Repo, set *source.Set) {
	for _, r := range repos {
		if past, ok := r.(*history.Repo); ok && set.HasHistory() {
			past.LayerOf = set.LayerOf
		}
	}
}

// repoFlags select the component repos. Inspect and reuse need the repos for images that do not
// list the components of their layers.
type repoFlags struct {
	Repos string `long:"repos" value-name:"LIST" unquote:"false" description:"component repos to use, in this order, separated by commas: {repos} (default: all)" section:"Components" brief:"component repos to use, in this order"`
	Map   string `long:"map" value-name:"FILE" unquote:"false" description:"JSON file that maps paths and globs to components"`
}

// assignFlags are shared by assign and build.
type assignFlags struct {
	repoFlags
	Override bool `long:"override" description:"replace components that the records already have"`
	Strict   bool `long:"strict" description:"fail if a package database, a map or an xattr causes a warning, for example about an unreadable package" brief:"fail on warnings from package databases"`
}

func (f *assignFlags) options(ctx context.Context) (opt assign.Options, err error) {
	opt.Override, opt.Strict = f.Override, f.Strict
	opt.Repos, err = f.chosen(ctx)
	return opt, err
}

// chosen returns the selected repos in order of precedence.
func (f *repoFlags) chosen(ctx context.Context) (list []assign.Repo, err error) {
	mapped, err := f.readMap(ctx)
	if err != nil {
		return nil, err
	}
	all := repos(mapped)
	if mapped == nil {
		all = slices.DeleteFunc(all, func(r assign.Repo) bool { return r.Name() == mapped.Name() })
	}
	if f.Repos == "" {
		return all, nil
	}
	names := repoNames(all)
	var seen []string
	for name := range strings.SplitSeq(f.Repos, ",") {
		i := slices.Index(names, name)
		switch {
		case i < 0 && name == mapped.Name():
			return nil, usagef("--repos: map needs --map FILE")
		case i < 0:
			return nil, usagef("--repos: %q is not one of %s", name, strings.Join(names, ", "))
		case slices.Contains(seen, name):
			return nil, usagef("--repos: %q is listed twice", name)
		}
		seen = append(seen, name)
		list = append(list, all[i])
	}
	if mapped != nil && !slices.Contains(seen, mapped.Name()) {
		return nil, usagef("--map has no effect, because --repos does not include map: add map to --repos")
	}
	return list, nil
}

// readMap reads the path map of --map, or returns nil without it.
func (f *repoFlags) readMap(ctx context.Context) (*pathmap.Repo, error) {
	if f.Map == "" {
		return nil, nil
	}
	data, err := interrupt.Open(ctx, f.Map, readFile)
	if err != nil {
		return nil, fmt.Errorf("reading map: %w", err)
	}
	return pathmap.New(f.Map, data)
}

func repoNames(repos []assign.Repo) (names []string) {
	for _, r := range repos {
		names = append(names, r.Name())
	}
	return names
}

type assignCommand struct {
	assignFlags
	imageFlags
	clockFlags
	formatFlags
	metricsFlags
	Rootfs  string `long:"rootfs" value-name:"DIR" unquote:"false" description:"root directory (default: from the stream)" section:"Source"`
	Explain string `long:"explain" value-name:"PATH" unquote:"false" description:"print the component of PATH and the repos that claim it, instead of the stream" section:"Reports" brief:"print the component of PATH, not the stream"`
	Summary bool   `long:"summary" description:"print what each repo found and the largest leftovers, instead of the stream" brief:"print what each repo found, not the stream"`
}

func (c *assignCommand) leftovers() []string {
	return slices.Concat(databases(), c.imageFlags.leftovers(), c.metricsFlags.folders())
}

func (c *assignCommand) run(ctx context.Context, env *Env) error {
	opt, err := c.assignFlags.options(ctx)
	if err != nil {
		return err
	}
	run, measured, err := c.measureStage(env, "assign", env.drawsStage())
	if err != nil {
		return err
	}
	defer run.end()
	in, out, err := env.streams(ctx, &c.formatFlags, &c.clockFlags)
	if err != nil {
		return err
	}
	if c.Rootfs != "" {
		if opt.Root, err = rootfs.Open(c.Rootfs); err != nil {
			return err
		}
		defer opt.Root.Close()
	}
	opt.Open = c.openDatabases(env, opt.Repos)
	var sink format.Sink = out
	if opt.Explain = c.Explain; c.Explain != "" || c.Summary {
		sink = discardSink{}
	}
	outcome, err := assign.Run(ctx, measured.In(in), measured.Out(sink), opt)
	if err != nil {
		return err
	}
	report.Assign(env.console(), outcome)
	run.write(ctx, env)
	if c.Explain != "" {
		if err := report.Explain(env.writer(ctx), outcome); err != nil {
			return err
		}
	}
	if c.Summary {
		return report.Repos(env.writer(ctx), outcome)
	}
	return nil
}

// streams opens the input and output streams of a stage.
func (e *Env) streams(ctx context.Context, f *formatFlags, clock *clockFlags) (format.Source, *format.Writer, error) {
	if err := f.check(); err != nil {
		return nil, nil, err
	}
	if err := clock.check(); err != nil {
		return nil, nil, err
	}
	in, err := e.input(ctx)
	if err != nil {
		return nil, nil, err
	}
	enc, err := f.encoding(in)
	if err != nil {
		return nil, nil, err
	}
	out, err := e.output(ctx, enc)
	return clocked{in, clock}, out, err
}
