package cli

import (
	"context"
	"os"
	"path"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/digests"
	"chunkah/lib/names"
	"chunkah/lib/report"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/lib/write"
)

// scanFlags are shared by scan and build.
type scanFlags struct {
	Prune       []string `long:"prune" value-name:"PATH" unquote:"false" description:"leave out PATH; if it ends with a slash, only its contents (repeatable)" section:"Source" brief:"leave out PATH; if it ends in /, only its contents"`
	CrossMounts bool     `long:"cross-mounts" description:"include file systems that are mounted below the root"`
	SkipCaches  bool     `long:"skip-caches" description:"leave out the contents of directories with a CACHEDIR.TAG" brief:"leave out caches marked by a CACHEDIR.TAG"`
	MapXattrs   []string `long:"map-xattr" value-name:"FROM=TO" unquote:"false" description:"write the source's xattr FROM into the image as TO, for example user.selinux=security.selinux (repeatable)" brief:"rename an xattr: user.selinux=security.selinux"`
	SkipSpecial bool     `long:"skip-special-files" description:"leave out sockets, FIFOs and devices"`
	KeepSpecial bool     `long:"keep-special-files" description:"include FIFOs and devices in the image; leave out sockets" brief:"include FIFOs and devices; leave out sockets"`
	xattrFlags
}

// xattrFlags are shared by all commands that can drop xattrs.
type xattrFlags struct {
	KeepXattrs []string `long:"keep-xattr" value-name:"NAME" unquote:"false" description:"keep an xattr that is dropped by default, such as security.selinux or user.component (repeatable)" brief:"keep an xattr dropped by default (repeatable)"`
}

func (f *scanFlags) options(env *Env, root *rootfs.Root, outputs []os.FileInfo) (scan.Options, error) {
	opt := scan.Options{
		Prune: f.Prune, CrossMounts: f.CrossMounts, SkipCaches: f.SkipCaches, KeepXattrs: f.KeepXattrs,
		Output: isFile(outputs...),
	}
	if f.SkipSpecial && f.KeepSpecial {
		return opt, usagef("--skip-special-files and --keep-special-files cannot be used together")
	}
	var err error
	if opt.MapXattrs, err = f.mapXattrs(); err != nil {
		return opt, err
	}
	switch {
	case f.SkipSpecial:
		opt.Special = scan.SpecialSkip
	case f.KeepSpecial:
		opt.Special = scan.SpecialKeep
	}
	for _, p := range f.Prune {
		if strings.Trim(p, "/") == "" || path.Clean("/"+p) == "/" {
			return opt, usagef("--prune %q would leave nothing: use a path below the root", p)
		}
	}
	if root.Path() == "/" {
		env.warn("the root is /: skipping the contents of %s", strings.Join(scan.LiveContents, " "))
		opt.Prune = append(append([]string(nil), f.Prune...), scan.LiveContents...)
	}
	return opt, nil
}

// mapXattrs parses --map-xattr.
func (f *scanFlags) mapXattrs() (map[string]string, error) {
	names, targets := make(map[string]string), make(map[string]string)
	for _, pair := range f.MapXattrs {
		from, to, _ := strings.Cut(pair, "=")
		switch {
		case !strings.Contains(from, ".") || !strings.Contains(to, ".") || strings.Contains(to, "="):
			return nil, usagef("--map-xattr %q: expected the names of two xattrs, for example user.selinux=security.selinux", pair)
		case names[from] != "" && names[from] != to:
			return nil, usagef("--map-xattr %q: %q already becomes %q", pair, from, names[from])
		case targets[to] != "" && targets[to] != from:
			return nil, usagef("--map-xattr %q: %q already becomes %q", pair, targets[to], to)
		case names[to] != "" || targets[from] != "":
			return nil, usagef("--map-xattr %q: one of these names is on the other side of = in another --map-xattr", pair)
		}
		names[from], targets[to] = to, from
	}
	return names, nil
}

type scanCommand struct {
	sourceFlags
	scanFlags
	clockFlags
	formatFlags
	metricsFlags
	Digests bool   `long:"digests" description:"add the SHA-256 of its contents to the record of each regular file (file.digest), using all cores" brief:"add the SHA-256 of regular files to their records"`
	Rootfs  string `long:"rootfs" value-name:"DIR" unquote:"false" description:"root directory, if no SOURCE is given" variable:"CHUNKAH_ROOTFS" section:"Source"`
	Args    struct {
		Sources []string `positional-arg-name:"SOURCE"`
	} `positional-args:"yes"`
}

func (c *scanCommand) leftovers() []string {
	return slices.Concat(c.imageFlags.leftovers(), c.metricsFlags.folders())
}

func (c *scanCommand) run(ctx context.Context, env *Env) error {
	if err := c.formatFlags.check(); err != nil {
		return err
	}
	if c.Rootfs != "" && len(c.Args.Sources) > 0 {
		return usagef("--rootfs %q and SOURCE %q cannot be used together", c.Rootfs, c.Args.Sources[0])
	}
	var header format.Header
	if err := c.clockFlags.apply(&header); err != nil {
		return err
	}
	if err := names.CheckReadableAgain(c.Args.Sources); err != nil {
		return &usageError{err}
	}
	sources, err := c.sourceNames("SOURCE", c.Args.Sources, c.Rootfs)
	if err != nil {
		return err
	}
	draws := env.drawsStage()
	run, measured, err := c.startStage(env, "scan", draws)
	if err != nil {
		return err
	}
	set, err := env.openSources(ctx, sources, c.sourceOptions(c.imageOptions(env)), draws)
	if err != nil {
		return err
	}
	defer set.Close()
	if draws {
		run.draw(env)
		defer run.end()
	}
	opt, err := c.scanFlags.options(env, set.Root, append(env.stdoutInfo(), c.metricsFile()...))
	if err != nil {
		return err
	}
	if opt, err = withSources(opt, set, &header); err != nil {
		return err
	}
	enc, err := c.encoding(nil)
	if err != nil {
		return err
	}
	out, err := env.output(ctx, enc)
	if err != nil {
		return err
	}
	to := measured.Out(out)
	if c.Digests {
		sink := digests.NewSink(ctx, to, func() digests.Reader { return write.NewReader(set.Root, true, false) })
		defer sink.Close()
		to = sink
	}
	scanned, err := scan.Run(ctx, set.Changed, header, opt, to)
	if err != nil {
		return err
	}
	report.Scan(env.console(), scanned)
	report.Unmapped(env.console(), scanned)
	c.warnEmpty(env, set.Root, scanned)
	run.write(ctx, env)
	return nil
}

// warnEmpty warns about an empty root, which usually means that a mount is missing, for example a
// container's volume. write refuses an empty root unless it comes from an image. A set of changes
// can be empty.
func (f *sourceFlags) warnEmpty(env *Env, root *rootfs.Root, r *scan.Report) {
	if r.Files <= 1 && f.KeepBase == "" {
		env.warn("%q is empty, or everything in it is left out", root.Path())
	}
}
