// Package cli holds the bodies of the commands. It is the only place with
// flags, exit statuses and the standard streams.
//
// What goes to standard error: one line a message, "chunkah-scan: " in front, no
// capital, no period at the end; or with --log json an object. Errors always; warnings,
// and what build did, but for -q; milestones of all under -v; details under -vv. An error names what is at hand; what to do about a cause that may come
// up anywhere is a line of its own: "chunkah-scan: hint: ".
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/jessevdk/go-flags"

	"chunkah/lib/console"
)

// The exit statuses.
const (
	statusOK      = 0
	statusFailure = 1
	statusUsage   = 2 // of a command that compares: any failure, as of diff(1) and cmp(1)
	// A signal that ended the command is added to statusSignal.
	statusSignal = 128
)

// usageError is a mistake on the command line or in the environment.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// signalError is the reason why a command was stopped.
type signalError struct{ sig syscall.Signal }

func (e *signalError) Error() string {
	switch e.sig {
	case syscall.SIGINT:
		return "interrupted"
	case syscall.SIGHUP:
		return "hung up"
	}
	return "terminated"
}

// outcome ends a command whose answer is its status: there is nothing more to say.
type outcome int

func (o outcome) Error() string { return fmt.Sprintf("status %d", int(o)) }

// troubleError is why a command that compares has no answer.
type troubleError struct{ err error }

func (e *troubleError) Error() string { return e.err.Error() }
func (e *troubleError) Unwrap() error { return e.err }

// answer ends a command that compares and has found so much, or could not.
func answer(found int, err error) error {
	switch {
	case err != nil:
		return &troubleError{err}
	case found > 0:
		return outcome(statusFailure)
	}
	return nil
}

// command is one command: its flags are its fields.
type command interface {
	// run does the work. It returns once everything it opened is closed.
	run(ctx context.Context, env *Env) error
	// leftovers are folders that can have unfinished files of a run that was killed.
	leftovers() []string
}

// Env is what a command has of its process.
type Env struct {
	// Name is what the command calls itself in messages.
	Name   string
	Stdin  *os.File
	Stdout *os.File
	Stderr *os.File
	// Verbose is -1 for -q, 0, 1 for -v, 2 for -vv.
	Verbose int

	common *commonFlags // of the command line
	once   sync.Once    // guards said
	said   *console.Console
}

// console is standard error. It is one, whichever goroutine speaks first: warnings may come from concurrent uploads.
func (e *Env) console() *console.Console {
	e.once.Do(func() { e.said = console.New(e.Stderr, e.Name) })
	return e.said
}

// settle takes in the flags that every command has. failed is a command line with a
// fault.
func (e *Env) settle(failed []string) error {
	f := e.common
	e.Verbose = len(f.Verbose)
	if f.Quiet {
		e.Verbose = -1
	}
	// A fault may stand before the flag that says how to tell it.
	at := slices.Index(failed, "--log")
	if f.Log == "json" || slices.Contains(failed, "--log=json") || at >= 0 && at+1 < len(failed) && failed[at+1] == "json" {
		e.console().JSON()
	}
	switch {
	case f.Log != "" && f.Log != "json" && f.Log != "text":
		return usagef("--log %q is neither text nor json", f.Log)
	case f.Quiet && len(f.Verbose) > 0:
		return usagef("--quiet and --verbose exclude each other: give one")
	}
	return nil
}

// stderrOf is the standard error of a program in a stage's place: ours, unless more
// than lines of text goes there.
func (e *Env) stderrOf(stage string) io.Writer {
	if e.draws() || e.common.Log == "json" {
		return e.console().Of(stage)
	}
	return e.Stderr
}

// warn tells what people have to know, but for those who said -q.
func (e *Env) warn(format string, args ...any) {
	if e.Verbose >= 0 {
		e.say(slog.LevelWarn, format, args...)
	}
}

// warnLines warns in several lines: those that belong to the first are indented.
func (e *Env) warnLines(lines []string) {
	if e.Verbose >= 0 {
		e.console().Print(slog.LevelWarn, lines)
	}
}

// info tells milestones, under -v.
func (e *Env) info(format string, args ...any) {
	if e.Verbose >= 1 {
		e.say(slog.LevelInfo, format, args...)
	}
}

// debug tells details, under -vv.
func (e *Env) debug(format string, args ...any) {
	if e.Verbose >= 2 {
		e.say(slog.LevelDebug, format, args...)
	}
}

// say says something: a line, and those of an error that has several, for which the verb
// is %w.
func (e *Env) say(level slog.Level, format string, args ...any) {
	e.console().Print(level, console.ErrorLines(fmt.Errorf(format, args...)))
}

// Main runs the command of that name with the process's arguments and returns
// its exit status.
func Main(name string) int {
	env := &Env{Name: name, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	unsetEmpty()
	cmd, err := parse(env, os.Args[1:])
	if err != nil {
		return env.fail(err)
	}
	if cmd == nil {
		return statusOK
	}
	ctx, stop := untilSignal()
	defer stop()
	env.nameLeftovers(cmd.leftovers())
	return env.fail(stopped(ctx, cmd.run(ctx, env)))
}

// stopped is why a command was stopped, where all it says is that it was.
func stopped(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}

// fail says what went wrong and returns the status for it.
func (e *Env) fail(err error) int {
	if err == nil {
		return statusOK
	}
	if stopped, ok := errors.AsType[*signalError](err); ok {
		e.say(slog.LevelError, "%s", stopped)
		return statusSignal + int(stopped.sig)
	}
	if answer, ok := errors.AsType[outcome](err); ok {
		return int(answer)
	}
	e.say(slog.LevelError, "%w", err)
	if advice := hint(err, os.Geteuid()); advice != "" {
		e.say(slog.LevelError, "hint: %s", advice)
	}
	if e.unread(err) {
		return statusSignal + int(syscall.SIGPIPE)
	}
	var usage *usageError
	var trouble *troubleError
	if errors.As(err, &usage) || errors.As(err, &trouble) {
		return statusUsage
	}
	return statusFailure
}

// unread reports whether the reader of standard output is gone.
func (e *Env) unread(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe) && pe.Path == e.Stdout.Name() && errors.Is(pe, syscall.EPIPE)
}

// untilSignal returns a context that the first SIGINT, SIGTERM or SIGHUP cancels.
// The second one ends the process at once.
func untilSignal() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) { // as nohup has it
			signal.Notify(signals, sig)
		}
	}
	// A pipe that nobody reads and a file that may not grow are errors of a write,
	// after which there is something to tidy up. Not ignored, which what is started
	// from here would inherit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGXFSZ)
	go func() {
		sig, ok := <-signals
		if !ok {
			return
		}
		signal.Stop(signals)
		if sig, ok := sig.(syscall.Signal); ok {
			cancel(&signalError{sig})
		}
	}()
	return ctx, func() { cancel(nil) }
}

// unsetEmpty makes an empty variable an unset one.
func unsetEmpty() {
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if value == "" && (strings.HasPrefix(name, "CHUNKAH_") || name == "SOURCE_DATE_EPOCH") {
			os.Unsetenv(name)
		}
	}
}

// parse reads the command line of env's command; no command and no error is help
// that was asked for.
func parse(env *Env, args []string) (command, error) {
	parser, pick := newParser(env)
	parser.UnknownOptionHandler = func(name string, _ flags.SplitArgument, _ []string) ([]string, error) {
		return nil, unknownOption(env, parser, args, name)
	}
	if len(args) > 0 && env.Name == wrapper {
		switch args[0] { // words that people try, for options
		case "help":
			args = append(args[1:len(args):len(args)], "--help")
		case "version":
			args = append([]string{"--version"}, args[1:]...)
		}
	}
	rest, err := parser.ParseArgs(args)
	failed := args
	if err == nil {
		failed = nil
	}
	if wrong := env.settle(failed); err == nil {
		err = wrong
	}
	var fault *flags.Error
	var usage *usageError
	switch {
	case errors.As(err, &fault) && fault.Type == flags.ErrHelp:
		return nil, env.help(parser, fault.Message)
	case errors.As(err, &usage):
		return nil, usage
	case err != nil:
		return nil, usagef("%s (see %s --help)", lowerFirst(err.Error()), asked(env, parser))
	}
	if err := refuseEmpty(parser); err != nil {
		return nil, err
	}
	cmd := pick()
	if _, asked := cmd.(versionCommand); asked {
		return cmd, nil
	}
	if _, none := cmd.(missingCommand); none && len(rest) > 0 {
		return nil, unknownCommand(rest[0])
	}
	if len(rest) > 0 {
		return nil, oneTooMany(asked(env, parser), cmd, rest[0])
	}
	return cmd, nil
}

// refuseEmpty refuses an option that is given and empty, as -o "$OUT" is where OUT
// is not set.
func refuseEmpty(parser *flags.Parser) error {
	groups := parser.Groups()
	if parser.Active != nil {
		groups = append(groups, parser.Active.Group)
	}
	for _, g := range groups {
		for _, o := range g.Options() {
			empty := false
			switch v := o.Value().(type) {
			case string:
				empty = v == ""
			case []string:
				empty = slices.Contains(v, "")
			}
			if empty && o.IsSet() && !o.IsSetDefault() {
				return usagef("--%s is empty", o.LongName)
			}
		}
	}
	return nil
}

// lowerFirst fits a library's message into ours.
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
