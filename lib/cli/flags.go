package cli

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"

	"github.com/jessevdk/go-flags"

	"chunkah/format"
)

// commonFlags are shared by all commands.
type commonFlags struct {
	Verbose []bool       `short:"v" long:"verbose" description:"print each step; -vv also prints the contents of each layer" brief:"print more; -vv prints even more"`
	Quiet   bool         `short:"q" long:"quiet" description:"print only errors"`
	Log     string       `long:"log" value-name:"text|json" unquote:"false" description:"format of standard error: plain text, or one JSON object per line (default: text)" brief:"format of standard error (default: text)"`
	Help    func() error `short:"h" long:"help" description:"print short help that fits on one screen"`
	HelpAll func() error `long:"help-all" description:"print all options with their full descriptions"`
	Version bool         `long:"version" description:"print the version and exit"`
}

// formatFlags are shared by all stages.
type formatFlags struct {
	Format string `long:"format" env:"CHUNKAH_FORMAT" value-name:"json|msgpack" unquote:"false" description:"encoding of the output stream (default: json for scan, the input's encoding for other stages)" section:"Stream" brief:"encoding of the output stream"`
}

// encoding returns the encoding that the option selects, or else the encoding of the input.
func (f *formatFlags) encoding(in *format.Reader) (format.Encoding, error) {
	if f.Format != "" {
		enc, err := format.ParseEncoding(f.Format)
		if err != nil {
			return "", &usageError{err}
		}
		return enc, nil
	}
	if in == nil {
		return format.JSON, nil
	}
	return in.Encoding(), nil
}

// check validates the flag before the stage waits for input.
func (f *formatFlags) check() error {
	if f.Format == "" {
		return nil
	}
	_, err := f.encoding(nil)
	return err
}

// clockFlags set the timestamp that all stages use.
type clockFlags struct {
	SourceDate string `long:"source-date-epoch" env:"SOURCE_DATE_EPOCH" value-name:"SECONDS" unquote:"false" description:"creation time of the image, and upper limit for the times of files without a package build time, in Unix seconds" section:"Times" brief:"limit for times of files without package build time"`
}

// apply sets the source date in a header that contains none.
func (c *clockFlags) apply(h *format.Header) error {
	if c.SourceDate == "" || h.HasSourceDate {
		return nil
	}
	n, err := strconv.ParseInt(c.SourceDate, 10, 64)
	if err != nil || n < -format.MaxInt || n > format.MaxInt {
		return usagef("source date %q (--source-date-epoch or SOURCE_DATE_EPOCH) is not a number of seconds", c.SourceDate)
	}
	h.SourceDate, h.HasSourceDate = n, true
	return nil
}

// check validates the flag before the stage waits for input.
func (c *clockFlags) check() error { return c.apply(&format.Header{}) }

// clocked adds the source date to the header of a stream if the header contains none. Streams
// written by scripts often lack it.
type clocked struct {
	format.Source
	clock *clockFlags
}

func (c clocked) Next() (format.Record, error) {
	rec, err := c.Source.Next()
	if h, ok := rec.(*format.Header); ok && err == nil {
		err = c.clock.apply(h)
	}
	return rec, err
}

// newParser returns the parser of a command line, and a function that returns the selected command.
func newParser(env *Env) (*flags.Parser, func() command) {
	parser := flags.NewNamedParser(env.Name, flags.PassDoubleDash)
	common := &commonFlags{Help: help(helpScreen), HelpAll: help(helpEverything)}
	mustAdd(parser.AddGroup(commonSection, "", common))
	env.common = common
	finish := func(cmd command) command {
		if common.Version {
			return versionCommand{}
		}
		return cmd
	}
	if p, ok := programs[env.Name]; ok {
		cmd := p.new()
		mustAdd(parser.AddGroup(p.group, "", cmd))
		return parser, func() command { return finish(cmd) }
	}
	return wrapperParser(parser, common, finish)
}

// wrapperParser adds the subcommands of chunkah to a parser.
func wrapperParser(parser *flags.Parser, common *commonFlags, finish func(command) command) (*flags.Parser, func() command) {
	parser.SubcommandsOptional = true
	commands := make(map[string]command)
	for _, name := range subcommands {
		p := programs[wrapper+"-"+name]
		cmd := p.new()
		if _, err := parser.AddCommand(name, p.short, p.long, cmd); err != nil {
			panic(err) // a flag is defined twice
		}
		commands[name] = cmd
	}
	return parser, func() command {
		if parser.Active != nil {
			return finish(commands[parser.Active.Name])
		}
		if !common.Version {
			return missingCommand{}
		}
		return finish(nil)
	}
}

// mustAdd panics on an error in the flag definitions.
func mustAdd(_ *flags.Group, err error) {
	if err != nil {
		panic(err)
	}
}

// Version is the version to print. If it is empty, the version from the build information is
// printed.
var Version string

type versionCommand struct{}

func (versionCommand) leftovers() []string { return nil }

func (versionCommand) run(ctx context.Context, env *Env) error {
	_, err := fmt.Fprintf(env.writer(ctx), "%s %s\n", env.Name, version())
	return err
}

func version() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
