package cli

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"chunkah/lib/manual"
	"chunkah/lib/transport"
)

// everyCommand describes all commands, under each of their names.
func everyCommand() []*manual.Command {
	var list []*manual.Command
	for _, p := range describeAll() {
		list = append(append(list, p), p.Commands...)
	}
	return list
}

// The help of each command must fit on a screen of 80 columns and 24 lines, with one line left for
// the shell's prompt. It must show all options that are marked for it.
func TestHelpFitsScreen(t *testing.T) {
	for _, c := range everyCommand() {
		text := manual.Screen(c)
		if n := strings.Count(text, "\n"); n > 23 {
			t.Errorf("%s --help has %d lines", c.Name, n)
		}
		for line := range strings.Lines(text) {
			if len(line) > 80 {
				t.Errorf("%s --help: %q has %d columns", c.Name, line, len(line)-1)
			}
		}
		for _, name := range c.Often {
			if !strings.Contains(text, "--"+name+" ") {
				t.Errorf("%s --help has no place for --%s", c.Name, name)
			}
		}
		for _, e := range c.Examples {
			if !strings.Contains(text, "\n  "+e.Line+"\n") {
				t.Errorf("%s --help has no place for %q", c.Name, e.Line)
			}
		}
	}
}

// Everything generated from the definitions must contain each flag of the parser.
func TestEveryOptionIsShown(t *testing.T) {
	list := describeAll()
	bash, zsh := manual.Bash(list, transport.Prefixes()), manual.Zsh(list, transport.Prefixes())
	var fish strings.Builder
	for _, p := range list {
		fish.WriteString(manual.Fish(p, transport.Prefixes()))
	}
	for _, c := range everyCommand() {
		parser, _ := newParser(&Env{Name: strings.Fields(c.Name)[0]})
		command, all := parser.Command, parser.Groups()
		if _, name, sub := strings.Cut(c.Name, " "); sub {
			command = parser.Find(name)
			all = append(all, command.Group)
		}
		n := 0
		for _, g := range append(all, command.Groups()...) {
			for _, o := range g.Options() {
				n++
				name := o.LongName
				if man := manual.ManPage(c, manual.Edition{}); !strings.Contains(man, `\fB\-\-`+strings.ReplaceAll(name, "-", `\-`)+`\fR`) {
					t.Errorf("the manual page of %s has no --%s", c.Name, name)
				}
				if text := manual.Everything(c); !strings.Contains(text, "--"+name+" ") && !strings.Contains(text, "--"+name+"\n") {
					t.Errorf("%s --help-all has no --%s", c.Name, name)
				}
				for shell, text := range map[string]string{"bash": bash, "zsh": zsh, "fish": fish.String()} {
					if !strings.Contains(text, name) {
						t.Errorf("the completion of %s has no --%s of %s", shell, name, c.Name)
					}
				}
			}
		}
		if n < 4 {
			t.Errorf("%s has %d options", c.Name, n)
		}
	}
}

// A flag on a help screen must fit on one line.
func TestDefinitions(t *testing.T) {
	for _, c := range everyCommand() {
		for _, o := range c.Options {
			if o.Text == "" {
				t.Errorf("%s: --%s says nothing", c.Name, o.Long)
			}
			if o.Brief == "" && len(o.Text) > 52 && slices.Contains(c.Often, o.Long) {
				t.Errorf("%s: --%s has no brief text", c.Name, o.Long)
			}
			if o.Brief != "" && len(o.Brief) > 52 {
				t.Errorf("%s: the brief text of --%s has %d columns", c.Name, o.Long, len(o.Brief))
			}
		}
		for _, name := range c.Often {
			if !slices.ContainsFunc(c.Options, func(o manual.Option) bool { return o.Long == name }) {
				t.Errorf("%s has no --%s to show", c.Name, name)
			}
		}
	}
}

func TestUnknownNames(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"chunkah", "biuld"}, `unknown command "biuld": did you mean build? (see chunkah --help)`},
		{[]string{"chunkah", "frobnicate"}, `unknown command "frobnicate": expected one of build, `},
		{[]string{"chunkah", "build", "--prnue", "x"}, `unknown option "--prnue": did you mean --prune? (see chunkah build --help)`},
		{[]string{"chunkah", "build", "--prnue=x"}, `unknown option "--prnue": did you mean --prune? (see chunkah build --help)`},
		{[]string{"chunkah", "build", "--annotations", "x"}, `unknown option "--annotations": did you mean --annotation? (see`},
		{[]string{"chunkah", "build", "-prune", "x"}, `unknown option "-prune": did you mean --prune? (see`},
		{[]string{"chunkah", "build", "--ignore-mtime"}, `unknown option "--ignore-mtime": it is an option of chunkah diff`},
		{[]string{"chunkah", "build", "--frobnicate"}, `unknown option "--frobnicate" (see chunkah build --help-all)`},
		{[]string{"chunkah", "build", "-X"}, `unknown option "-X" (see chunkah build --help)`},
		{[]string{"chunkah", "--rootfs", "x", "build"}, `unknown option "--rootfs": it is an option of chunkah build`},
		{[]string{"chunkah-pack", "--mx", "4"}, `unknown option "--mx": did you mean --max? (see chunkah-pack --help)`},
		{[]string{"chunkah-pack", "--maxlayers=4"}, `unknown option "--maxlayers": did you mean --max-layers? (see`},
	}
	for _, tt := range tests {
		_, err := parse(&Env{Name: tt.args[0]}, tt.args[1:])
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %q", tt.args, err, tt.want)
		}
		if _, ok := errors.AsType[*usageError](err); !ok {
			t.Errorf("%q: %T is no usage error", tt.args, err)
		}
	}
}
