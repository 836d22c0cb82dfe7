package cli

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jessevdk/go-flags"

	"chunkah/lib/manual"
	"chunkah/lib/transport"
)

// The two ways to ask for help, as what the parser ends with.
const (
	helpScreen     = "help was asked for"
	helpEverything = "all help was asked for"
)

// help ends a parser with the answer to come.
func help(which string) func() error {
	return func() error { return &flags.Error{Type: flags.ErrHelp, Message: which} }
}

// help prints the help that was asked for.
func (e *Env) help(parser *flags.Parser, which string) error {
	text := manual.Screen
	if which == helpEverything {
		text = manual.Everything
	}
	_, err := e.Stdout.WriteString(text(described(e, parser)))
	return err
}

// asked is what the user calls the command.
func asked(env *Env, parser *flags.Parser) string {
	if parser.Active != nil {
		return env.Name + " " + parser.Active.Name
	}
	return env.Name
}

// described describes the command that the user has called.
func described(env *Env, parser *flags.Parser) *manual.Command {
	c := describe(env.Name)
	name := asked(env, parser)
	for _, sub := range c.Commands {
		if sub.Name == name {
			return sub
		}
	}
	return c
}

// unknownOption says which option was meant, where one is near.
func unknownOption(env *Env, parser *flags.Parser, args []string, name string) error {
	c := described(env, parser)
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
		return usagef("unknown option %q: it is one of %s %s", given, env.Name, of)
	}
	return usagef("unknown option %q (see %s --help-all)", given, c.Name)
}

// oneTooMany refuses an argument that a command does not take. A root is one for
// scan, and what people give to build first.
func oneTooMany(name string, cmd command, arg string) error {
	if build, ok := cmd.(*buildCommand); ok && build.Rootfs == "" && len(build.From) == 0 {
		if err := refuseName(arg, "chunkah build --from"); err != nil {
			return err
		}
		meant := []string{"--from", arg}
		if src, err := transport.ParseSource(arg); err == nil && !src.IsImage() {
			meant[0] = "--rootfs"
			if at := imageAt(src.Path); at != "" {
				meant = []string{"--from", at}
			}
		}
		return usagef("argument %q is one too many: did you mean %s?", arg, shellLine(meant))
	}
	return usagef("argument %q is one too many (see %s --help)", arg, name)
}

// otherCommand is a subcommand with that option, empty where there is none.
func otherCommand(parser *flags.Parser, name string) string {
	for _, sub := range parser.Commands() {
		if sub.FindOptionByLongName(name) != nil {
			return sub.Name
		}
	}
	return ""
}

// unknownCommand says which command was meant, where one is near.
func unknownCommand(name string) error {
	if near := manual.Closest(name, subcommands); near != "" {
		return usagef("unknown command %q: did you mean %s? (see chunkah --help)", name, near)
	}
	return usagef("unknown command %q: it is none of %s", name, strings.Join(subcommands, ", "))
}
