// Package cli implements the commands. It is the only package that uses flags, exit statuses and
// the standard streams.
//
// Each message is one line on standard error. It starts with the command's name ("chunkah-scan: "),
// is in lower case and does not end with a period. With --log json it is an object. Errors are
// always printed. Warnings and the summary of build are printed unless -q is given, milestones of
// all commands with -v, and details with -vv. An error describes its own context. Advice on errors
// that can occur in any command is printed on a separate line that starts with "chunkah-scan: hint:
// ".
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
	"chunkah/lib/storage"
)

// Exit statuses.
const (
	statusOK      = 0
	statusFailure = 1
	statusUsage   = 2 // for commands that compare, the status of any failure, as in diff(1) and cmp(1)
	// If a signal ends a command, the exit status is statusSignal plus the number of the signal.
	statusSignal = 128
)

// usageError is an error in the command line or the environment.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// signalError is the cause of a context that was cancelled by a signal.
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

// outcome ends a command whose result is its exit status. No message is printed.
type outcome int

func (o outcome) Error() string { return fmt.Sprintf("status %d", int(o)) }

// troubleError is the reason why a command could not compare its sources.
type troubleError struct{ err error }

func (e *troubleError) Error() string { return e.err.Error() }
func (e *troubleError) Unwrap() error { return e.err }

// comparisonResult returns the result of a command that compares: the number of differences, or an
// error.
func comparisonResult(found int, err error) error {
	switch {
	case err != nil:
		return &troubleError{err}
	case found > 0:
		return outcome(statusFailure)
	}
	return nil
}

// command is a command whose fields are its flags.
type command interface {
	// run runs the command. It closes everything that it opens.
	run(ctx context.Context, env *Env) error
	// leftovers returns directories that can contain unfinished files of killed runs.
	leftovers() []string
}

// Env is the environment of a command: its arguments, streams and messages.
type Env struct {
	// Name is the name of the command in messages.
	Name   string
	Stdin  *os.File
	Stdout *os.File
	Stderr *os.File
	// Verbose is -1 for -q, 1 for -v, 2 for -vv, and otherwise 0.
	Verbose int

	common   *commonFlags // common flags on the command line
	once     sync.Once    // creates messages
	messages *console.Console
}

// console returns the writer for messages on standard error. It is created once, because concurrent
// uploads can print warnings at the same time.
func (e *Env) console() *console.Console {
	e.once.Do(func() { e.messages = console.New(e.Stderr, e.Name) })
	return e.messages
}

// applyCommonFlags applies the flags that every command supports. failed is a command line that
// contains an error.
func (e *Env) applyCommonFlags(failed []string) error {
	f := e.common
	e.Verbose = len(f.Verbose)
	if f.Quiet {
		e.Verbose = -1
	}
	e.console().Verbose = e.Verbose
	// The error can precede --log, which sets the format of the error message.
	at := slices.Index(failed, "--log")
	if f.Log == "json" || slices.Contains(failed, "--log=json") || at >= 0 && at+1 < len(failed) && failed[at+1] == "json" {
		e.console().JSON()
	}
	switch {
	case f.Log != "" && f.Log != "json" && f.Log != "text":
		return usagef("--log %q is neither text nor json", f.Log)
	case f.Quiet && len(f.Verbose) > 0:
		return usagef("--quiet and --verbose cannot be used together")
	}
	return nil
}

// stderrOf returns the standard error for a program that replaces a stage. Its lines go through the
// console if progress is drawn or messages are JSON.
func (e *Env) stderrOf(stage string) io.Writer {
	if e.drawsProgress() || e.common.Log == "json" {
		return e.console().Of(stage)
	}
	return e.Stderr
}

// warn prints a warning, unless -q is given.
func (e *Env) warn(format string, args ...any) { e.console().Warn(format, args...) }

// info prints a milestone with -v.
func (e *Env) info(format string, args ...any) { e.console().Info(format, args...) }

// debug prints details with -vv.
func (e *Env) debug(format string, args ...any) { e.console().Debug(format, args...) }

// Main runs the command with the given name and the arguments of the process. It returns the exit
// status.
func Main(name string) int {
	if storage.RunChild() {
		return statusOK
	}
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

// stopped returns the cause of a cancelled context instead of an error that only reports the
// cancellation.
func stopped(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}

// fail prints an error and returns its exit status.
func (e *Env) fail(err error) int {
	if err == nil {
		return statusOK
	}
	if stopped, ok := errors.AsType[*signalError](err); ok {
		e.console().Say(slog.LevelError, "%s", stopped)
		return statusSignal + int(stopped.sig)
	}
	if answer, ok := errors.AsType[outcome](err); ok {
		return int(answer)
	}
	if e.isReaderGone(err) {
		return statusSignal + int(syscall.SIGPIPE) // silently, like a process that SIGPIPE ends
	}
	e.console().Say(slog.LevelError, "%w", err)
	if advice := hint(err, os.Geteuid()); advice != "" {
		e.console().Say(slog.LevelError, "hint: %s", advice)
	}
	var usage *usageError
	var trouble *troubleError
	if errors.As(err, &usage) || errors.As(err, &trouble) {
		return statusUsage
	}
	return statusFailure
}

// isReaderGone reports whether an error means that standard output is no longer being read.
func (e *Env) isReaderGone(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe) && pe.Path == e.Stdout.Name() && errors.Is(pe, syscall.EPIPE)
}

// untilSignal returns a context that the first SIGINT, SIGTERM or SIGHUP cancels. A second signal
// ends the process immediately.
func untilSignal() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) { // for example by nohup
			signal.Notify(signals, sig)
		}
	}
	// A closed pipe and the file size limit must cause write errors, so that the command can clean
	// up. The signals are caught instead of ignored, because child processes would inherit ignored
	// signals.
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

// unsetEmpty unsets empty environment variables.
func unsetEmpty() {
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if value == "" && (strings.HasPrefix(name, "CHUNKAH_") || name == "SOURCE_DATE_EPOCH") {
			os.Unsetenv(name)
		}
	}
}

// parse parses the command line of env's command. If it has printed help, it returns neither a
// command nor an error.
func parse(env *Env, args []string) (command, error) {
	parser, pick := newParser(env)
	parser.UnknownOptionHandler = func(name string, _ flags.SplitArgument, _ []string) ([]string, error) {
		return nil, unknownOption(env, parser, args, name)
	}
	if len(args) > 0 && env.Name == wrapper {
		switch args[0] { // words that users try instead of options
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
	if wrong := env.applyCommonFlags(failed); err == nil {
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
		return nil, usagef("%s (see %s --help)", lowerFirst(err.Error()), typedName(env, parser))
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
		return nil, unexpectedArgument(typedName(env, parser), cmd, rest[0])
	}
	return cmd, nil
}

// refuseEmpty refuses an option with an empty value, for example -o "$OUT" if OUT is not set.
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
				return usagef("--%s must not be empty", o.LongName)
			}
		}
	}
	return nil
}

// lowerFirst adapts a library's message to the style of our messages.
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
