package cli

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jessevdk/go-flags"

	"chunkah/lib/manual"
	"chunkah/lib/names"
	"chunkah/lib/quote"
)

// Kinds of help that can be requested.
const (
	helpScreen     = "help requested"
	helpEverything = "all help requested"
)

// help returns a function that stops the parser, so that help is printed.
func help(which string) func() error {
	return func() error { return &flags.Error{Type: flags.ErrHelp, Message: which} }
}

// help prints the requested help.
func (e *Env) help(parser *flags.Parser, which string) error {
	text := manual.Screen
	if which == helpEverything {
		text = manual.Everything
	}
	_, err := e.Stdout.WriteString(text(typedCommand(e, parser)))
	return err
}

// typedName returns the name of the command as the user typed it.
func typedName(env *Env, parser *flags.Parser) string {
	if parser.Active != nil {
		return env.Name + " " + parser.Active.Name
	}
	return env.Name
}

// typedCommand returns the description of the command that the user typed.
func typedCommand(env *Env, parser *flags.Parser) *manual.Command {
	c := describe(env.Name)
	name := typedName(env, parser)
	for _, sub := range c.Commands {
		if sub.Name == name {
			return sub
		}
	}
	return c
}

// unknownOption suggests a similar option, if there is one. If the command is unknown, its options
// are unknown too, so only the command is reported.
func unknownOption(env *Env, parser *flags.Parser, args []string, name string) error {
	if env.Name == wrapper && parser.Active == nil {
		if word := misspeltCommand(args); word != "" {
			return unknownCommand(word)
		}
	}
	c := typedCommand(env, parser)
	long := slices.ContainsFunc(args, func(a string) bool { return a == "--"+name || strings.HasPrefix(a, "--"+name+"=") })
	given := "-" + name
	if long {
		given = "--" + name
	}
	if !long && utf8.RuneCountInString(name) <= 2 {
		return usagef("unknown option %q (see %s --help)", given, c.Name)
	}
	var names []string
	for _, o := range c.Options {
		names = append(names, o.Long)
	}
	if near := manual.Closest(name, names); near != "" {
		return usagef("unknown option %q: did you mean --%s? (see %s --help)", given, near, c.Name)
	}
	if of := otherCommand(parser, name); of != "" {
		return usagef("unknown option %q: it is an option of %s %s", given, env.Name, of)
	}
	return usagef("unknown option %q (see %s --help-all)", given, c.Name)
}

// unexpectedArgument refuses an unexpected argument. For build, it suggests --from or --rootfs,
// because users often pass the source as an argument.
func unexpectedArgument(name string, cmd command, arg string) error {
	if build, ok := cmd.(*buildCommand); ok && build.Rootfs == "" && len(build.From) == 0 {
		option, source := "--from", names.Guess(arg)
		if source == "" {
			src, err := names.Source(arg, "chunkah build --from")
			if err != nil {
				return &usageError{err}
			}
			if source = arg; !src.IsImage() {
				option = "--rootfs"
			}
		}
		return usagef("unexpected argument %q: did you mean %s?", arg, quote.Shell(option, source))
	}
	return usagef("unexpected argument %q (see %s --help)", arg, name)
}

// misspeltCommand returns the first argument that is neither an option nor the value of --log. It
// is empty if no such argument exists, or if a later argument is a command.
func misspeltCommand(args []string) (word string) {
	for i, arg := range args {
		switch {
		case slices.Contains(subcommands, arg):
			return ""
		case word == "" && !strings.HasPrefix(arg, "-") && (i == 0 || args[i-1] != "--log"):
			word = arg
		}
	}
	return word
}

// otherCommand returns a subcommand that supports the option, or an empty string.
func otherCommand(parser *flags.Parser, name string) string {
	for _, sub := range parser.Commands() {
		if sub.FindOptionByLongName(name) != nil {
			return sub.Name
		}
	}
	return ""
}

// unknownCommand suggests a similar command, if there is one.
func unknownCommand(name string) error {
	if near := manual.Closest(name, subcommands); near != "" {
		return usagef("unknown command %q: did you mean %s? (see chunkah --help)", name, near)
	}
	return usagef("unknown command %q: expected one of %s", name, strings.Join(subcommands, ", "))
}
