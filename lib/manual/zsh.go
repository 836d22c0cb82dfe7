package manual

import (
	"fmt"
	"strings"
)

const zshLogic = `_chunkah_transports() { compadd -S '' -- %s }

_chunkah_image() {
  if compset -P 'docker://'; then _message 'reference'
  elif compset -P '(dir|oci):'; then _files -/
  elif compset -P '(oci-archive|docker-archive):'; then _files
  else _alternative 'transports:transport:_chunkah_transports' 'files:file:_files'
  fi
}

`

// Zsh returns the zsh completion for the programs.
func Zsh(programs []*Command, transports []string) string {
	var b strings.Builder
	var names []string
	for _, c := range programs {
		names = append(names, c.Name)
	}
	fmt.Fprintf(&b, "#compdef %s\n\n", strings.Join(names, " "))
	fmt.Fprintf(&b, zshLogic, strings.Join(transports, " "))
	for _, c := range everyCommand(programs) {
		zshCommand(&b, c)
	}
	b.WriteString("_chunkah() {\n  case $service in\n")
	for _, c := range programs {
		fmt.Fprintf(&b, "  %s) %s ;;\n", c.Name, zshFunction(c))
	}
	b.WriteString("  esac\n}\n\n")
	fmt.Fprintf(&b, "if [ \"$funcstack[1]\" = _chunkah ]; then _chunkah \"$@\"; else compdef _chunkah %s; fi\n", strings.Join(names, " "))
	return b.String()
}

func zshFunction(c *Command) string {
	return "_chunkah_of_" + strings.ReplaceAll(c.Page(), "-", "_")
}

// zshCommand writes the function for one command.
func zshCommand(b *strings.Builder, c *Command) {
	fmt.Fprintf(b, "%s() {\n  local curcontext=\"$curcontext\" state line\n  typeset -A opt_args\n  _arguments -C -s -S", zshFunction(c))
	for _, o := range c.Options {
		for _, n := range o.names() {
			fmt.Fprintf(b, " \\\n    %s", shellQuote(zshOption(o, n)))
		}
	}
	switch {
	case len(c.Commands) > 0:
		b.WriteString(" \\\n    '1:command:->command' '*::argument:->argument'\n")
		zshSubcommands(b, c)
	case c.Operand != "":
		fmt.Fprintf(b, " \\\n    %s\n", shellQuote("*:"+c.Operand+":"+zshAction(c.Operand)))
	default:
		b.WriteString("\n")
	}
	b.WriteString("}\n\n")
}

func zshSubcommands(b *strings.Builder, c *Command) {
	b.WriteString("  case $state in\n  command)\n    local -a commands=(\n")
	for _, sub := range c.Commands {
		fmt.Fprintf(b, "      %s\n", shellQuote(sub.word()+":"+sub.Short))
	}
	b.WriteString("    )\n    _describe command commands\n    ;;\n  argument)\n    case $words[1] in\n")
	for _, sub := range c.Commands {
		fmt.Fprintf(b, "    %s) %s ;;\n", sub.word(), zshFunction(sub))
	}
	b.WriteString("    esac\n    ;;\n  esac\n")
}

// zshSpecial escapes the special characters of _arguments.
var zshSpecial = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`)

// zshOption formats an option for _arguments, with one of its names.
func zshOption(o Option, name string) string {
	spec := "(" + strings.Join(o.names(), " ") + ")"
	if o.Repeats {
		spec = "*"
	}
	spec += name
	if o.Value != "" {
		if strings.HasPrefix(name, "--") {
			spec += "="
		} else {
			spec += "+"
		}
	}
	spec += "[" + zshSpecial.Replace(o.line()) + "]"
	if o.Value != "" {
		spec += ":" + zshSpecial.Replace(o.Value) + ":" + zshAction(o.Value)
	}
	return spec
}

// zshAction completes a value.
func zshAction(value string) string {
	switch kindOf(value) {
	case kindFile:
		return "_files"
	case kindFolder:
		return "_files -/"
	case kindImage:
		return "_chunkah_image"
	case kindCommand:
		return "_command_names -e"
	case kindChoice:
		return "(" + strings.NewReplacer("|", " ", ":", `\:`).Replace(value) + ")"
	}
	return " "
}
