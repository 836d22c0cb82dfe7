package cli

import (
	"context"
	"errors"
	"os"
	"slices"

	"chunkah/lib/extract"
	"chunkah/lib/names"
	"chunkah/lib/quote"
	"chunkah/lib/source"
)

type extractCommand struct {
	imageFlags
	Platform string `long:"platform" value-name:"OS/ARCH" unquote:"false" description:"platform to use if SOURCE is an index (default: this machine's)" section:"Source" brief:"platform in an index (default: this machine's)"`
	Tar      string `long:"tar" value-name:"FILE" unquote:"false" description:"write a tar of the file system to FILE instead of a directory; - is standard output" section:"Output" brief:"write a tar instead of a directory; - is stdout"`
	Strict   bool   `long:"strict" description:"fail, and leave nothing behind, if an owner, a device or an xattr cannot be restored" brief:"fail if something cannot be restored"`
	Args     struct {
		Source string `positional-arg-name:"SOURCE"`
		Dir    string `positional-arg-name:"DIR"`
	} `positional-args:"yes"`
}

// check refuses invalid command lines before anything is opened.
func (c *extractCommand) check(env *Env) error {
	switch {
	case c.Args.Source == "":
		return usagef("extract needs an image and a directory, for example oci-archive:app.oci rootfs")
	case c.Args.Dir == "" && c.Tar == "":
		return usagef("extract needs a directory to write to, or --tar FILE")
	case c.Args.Dir != "" && c.Tar != "":
		return usagef("the directory %q and --tar cannot be used together", c.Args.Dir)
	case c.Tar == "-" && isTerminal(env.Stdout):
		return usagef("standard output is a terminal: redirect it, or use --tar FILE")
	case c.Tar == "-" && isClosed(env.Stdout):
		return usagef("%w, or use --tar FILE", errClosed)
	}
	if err := checkPlatform(c.Platform); err != nil {
		return err
	}
	if meant := names.Guess(c.Args.Source); meant != "" {
		return usagef("source %q is not an image: did you mean %s?", c.Args.Source, quote.Shell(meant))
	}
	src, err := names.Source(c.Args.Source, "chunkah extract")
	if err != nil {
		return &usageError{err}
	}
	if src.IsDirectory() {
		return usagef("source %q is a directory, which cp -a can copy: use an image or a root tar", c.Args.Source)
	}
	return nil
}

func (c *extractCommand) leftovers() []string {
	folders := slices.Concat(c.imageFlags.leftovers(), parentDir(c.Args.Dir), parentDir(c.Tar))
	if c.Args.Dir != "" {
		folders = append(folders, c.Args.Dir)
	}
	return folders
}

func (c *extractCommand) run(ctx context.Context, env *Env) (err error) {
	if err := c.check(env); err != nil {
		return err
	}
	var to extractTarget
	switch c.Tar {
	case "":
		to, err = extract.Create(c.Args.Dir)
	case "-":
		to = unfinishedStdout{}
	default:
		to, err = extract.CreateFile(ctx, c.Tar)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, to.Discard())
		}
	}()
	opt := source.Options{Image: c.imageOptions(env)}
	if dir, ok := to.(*extract.Directory); ok {
		opt.Store = dir.Store
	}
	opt.Image.Platform = c.Platform
	set, err := env.openSources(ctx, []string{c.Args.Source}, opt, env.drawsProgress())
	if err != nil {
		return err
	}
	defer set.Close() // opened only for reading
	report, err := c.write(ctx, env, to, set)
	if err != nil {
		return err
	}
	if err := to.Commit(); err != nil {
		return err
	}
	c.report(env, report)
	return nil
}

// extractTarget is the place to which files are extracted. Nothing appears there before Commit.
type extractTarget interface {
	Commit() error
	Discard() error
}

// unfinishedStdout is standard output, where all data appears immediately.
type unfinishedStdout struct{}

func (unfinishedStdout) Commit() error  { return nil }
func (unfinishedStdout) Discard() error { return nil }

// write writes the files.
func (c *extractCommand) write(ctx context.Context, env *Env, to extractTarget, set *source.Set) (*extract.Report, error) {
	opt := extract.Options{Strict: c.Strict}
	var stop func()
	opt.Work, stop = env.working("write", env.drawsProgress())
	defer stop()
	opt.Work.Expect(set.Tree.Bytes())
	switch to := to.(type) {
	case *extract.Directory:
		return extract.Into(ctx, to, set.Tree, opt)
	case *extract.File:
		return extract.ToTar(ctx, to, set.Root, opt)
	}
	return extract.ToTar(ctx, env.writer(ctx), set.Root, opt)
}

// report prints what could not be restored.
func (c *extractCommand) report(env *Env, r *extract.Report) {
	if lines := r.Lines(env.Verbose > 0); len(lines) > 0 {
		env.console().WarnLines(lines)
		if os.Geteuid() != 0 && c.Tar == "" {
			env.warn("hint: run it as root, or under podman unshare, to restore more")
		}
	}
	env.info("%s, %s", plural(r.Files, "file"), bytesText(r.Bytes))
}
