package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/jessevdk/go-flags"

	"chunkah/lib/previous"
	"chunkah/lib/quote"
)

// setting is a flag and its value, as words on a command line.
type setting struct {
	name  string
	kind  reflect.Type
	words []string // empty if the flag is not set
}

// settings returns the flags in a struct in the order of their definition.
func settings(of any) []setting {
	parser := flags.NewNamedParser("", flags.None)
	mustAdd(parser.AddGroup("", "", of))
	var list []setting
	for _, g := range parser.Groups() {
		for _, o := range g.Options() {
			list = append(list, setting{o.LongName, o.Field().Type, settingWords(o.LongName, o.Value())})
		}
	}
	return list
}

// isSet reports whether any of the flags in a struct is set.
func isSet(of any) bool {
	return slices.ContainsFunc(settings(of), func(s setting) bool { return len(s.words) > 0 })
}

func settingWords(name string, value any) []string {
	switch v := value.(type) {
	case bool:
		if v {
			return []string{"--" + name}
		}
	case string:
		if v != "" {
			return valueWords(name, v)
		}
	case []string:
		var words []string
		for _, s := range v {
			words = append(words, valueWords(name, s)...)
		}
		return words
	}
	return nil
}

// valueWords returns an option and its value. They are joined into one word if the value looks like
// an option.
func valueWords(name, value string) []string {
	if strings.HasPrefix(value, "-") && value != "-" {
		return []string{"--" + name + "=" + value}
	}
	return []string{"--" + name, value}
}

// printPipeline prints a pipeline of the four stages that makes the same image.
func (c *buildCommand) printPipeline(ctx context.Context, env *Env) error {
	switch {
	case c.Plan == "-":
		return usagef("--plan - cannot be used in a pipeline, where standard output is the stream: use --plan FILE")
	case c.Metrics != "":
		env.warn("ignoring --metrics, which measures one process: each command of the pipeline accepts --metrics")
	}
	if c.Config == "" && c.ConfigStr == "" {
		c.ConfigStr = os.Getenv(envConfig)
	}
	scan, err := c.scanWords(env)
	if err != nil {
		return err
	}
	pack, err := c.packWords(ctx, env)
	if err != nil {
		return err
	}
	write := c.stageWords(env, "chunkah-write")
	if c.Config == "-" {
		write = replaceWord(write, "--config", "/dev/fd/3") // standard input is used for the stream
	}
	assign := quote.Shell(c.stageWords(env, "chunkah-assign")...)
	if c.Assign != "" {
		assign = commandLine(c.Assign)
	}
	packing := quote.Shell(pack...)
	if c.Pack != "" {
		packing = commandLine(c.Pack)
	}
	text := strings.Join([]string{quote.Shell(scan...), assign, packing, quote.Shell(write...)}, " |\n  ")
	if c.Config == "-" {
		text = "{ " + text + "; } 3<&0"
	}
	if c.Verify {
		text += c.verifyLines()
	}
	if c.SBOM != "" {
		text += c.sbomLines()
	}
	_, err = fmt.Fprintln(env.writer(ctx), text)
	return err
}

// stageWords returns the command line for a stage, with those options of build that the stage also
// supports. Options with the same name but another type are different options.
func (c *buildCommand) stageWords(env *Env, name string) []string {
	words := append([]string{name}, env.commonWords()...)
	own := settings(programs[name].new())
	for _, s := range settings(c) {
		has := func(o setting) bool { return o.name == s.name && o.kind == s.kind }
		if s.name != "rootfs" && s.name != "metrics" && slices.ContainsFunc(own, has) {
			words = append(words, s.words...)
		}
	}
	return words
}

// commonWords returns the common options, which every command supports.
func (e *Env) commonWords() []string {
	var words []string
	switch {
	case e.Verbose > 0:
		words = []string{"-" + strings.Repeat("v", e.Verbose)}
	case e.Verbose < 0:
		words = []string{"-q"}
	}
	return append(words, settingWords("log", e.common.Log)...)
}

func (c *buildCommand) scanWords(env *Env) ([]string, error) {
	sources, err := c.sourceNames("--rootfs or --from", c.From, c.Rootfs)
	return append(c.stageWords(env, "chunkah-scan"), sources...), err
}

// packWords returns the command line for pack. It replaces auto in --previous with the name of the
// image, because pack does not receive the output as an option. If that image does not exist, the
// command line contains an empty file, which pack treats as a first build.
func (c *buildCommand) packWords(ctx context.Context, env *Env) ([]string, error) {
	words := c.stageWords(env, "chunkah-pack")
	if c.Previous != previousAuto {
		return words, nil
	}
	place := c.place()
	if place == nil {
		return nil, errNoPlace()
	}
	prev, note, err := previous.Layout(ctx, *place, c.imageOptions(env))
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist):
		return replaceWord(words, "--previous", os.DevNull), nil
	case err != nil:
		note = fmt.Errorf("%w: planning without the previous layout", err)
	}
	if note != nil {
		env.warn("previous layout: %w", note)
	}
	if prev == nil {
		i := slices.Index(words, "--previous")
		return slices.Delete(words, i, i+2), nil
	}
	return replaceWord(words, "--previous", place.String()), nil
}

// replaceWord replaces the value of an option.
func replaceWord(words []string, option, value string) []string {
	words[slices.Index(words, option)+1] = value
	return words
}

// verifyLines returns the commands that replace --verify in a pipeline.
func (c *buildCommand) verifyLines() string {
	place := c.place()
	text := " &&\n  " + quote.Shell(wrapper, "verify", place.String())
	if sources, err := c.sourceNames("", c.From, c.Rootfs); err == nil && len(sources) == 1 {
		text += " &&\n  " + quote.Shell(wrapper, "diff", "--ignore-mtime", sources[0], place.String())
	}
	return text
}

// commandLine returns the command of --assign or --pack for use in a pipeline. Build passes a
// command to a shell unless it is only a path.
func commandLine(line string) string {
	if quote.Shell(line) == line {
		return line
	}
	return quote.Shell("sh", "-c", line)
}

// errNoPlace returns the error for --previous auto without an output.
func errNoPlace() error {
	return usagef("--previous auto means the image that the output replaces, so it works only with chunkah build and -o")
}
