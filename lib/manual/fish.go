package manual

import (
	"fmt"
	"strings"
)

// fishLogic completes image names. It prints whole words, and fish shows the words that begin with
// the current word.
const fishLogic = `function __chunkah_image
    set -l word (commandline -ct | string replace -r -- '^--[^=]*=' '')
    if set -l found (string match -r -- '^(dir:|oci:|oci-archive:|docker-archive:)(.*)$' $word)
        for path in (__fish_complete_path "$found[3]")
            printf '%%s%%s\n' $found[2] $path
        end
    else
        printf '%%s\n' %s
        __fish_complete_path "$word"
    end
end

`

// Fish returns the fish completion for one program. fish finds the completion by the program's
// name.
func Fish(c *Command, transports []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Completion of fish for %s.\n\n", c.Name)
	fmt.Fprintf(&b, fishLogic, strings.Join(transports, " "))
	if len(c.Commands) == 0 {
		fishCommand(&b, c, "")
		return b.String()
	}
	fishCommand(&b, c, "__fish_use_subcommand")
	for _, sub := range c.Commands {
		fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -f -a %s -d %s\n", c.Name, sub.word(), fishQuote(sub.Short))
	}
	for _, sub := range c.Commands {
		fishCommand(&b, sub, "__fish_seen_subcommand_from "+sub.word())
	}
	return b.String()
}

// fishCommand completes the options and operands of a command under a condition.
func fishCommand(b *strings.Builder, c *Command, condition string) {
	start := "complete -c " + c.binary()
	if condition != "" {
		start += " -n " + fishQuote(condition)
	}
	fmt.Fprintf(b, "%s%s\n", start, fishValue(c.Operand, " -f"))
	for _, o := range c.Options {
		line := start
		if o.Short != 0 {
			line += " -s " + string(o.Short)
		}
		line += " -l " + o.Long
		if o.Value != "" {
			line += fishValue(o.Value, " -x")
		}
		fmt.Fprintf(b, "%s -d %s\n", line, fishQuote(o.line()))
	}
}

// fishValue completes a value. exclusive excludes file names.
func fishValue(value, exclusive string) string {
	switch kindOf(value) {
	case kindFile:
		return " -r -F"
	case kindFolder:
		return exclusive + " -a '(__fish_complete_directories)'"
	case kindImage:
		return exclusive + " -a '(__chunkah_image)'"
	case kindCommand:
		return exclusive + " -a '(__fish_complete_command)'"
	case kindChoice:
		return exclusive + " -a " + fishQuote(strings.ReplaceAll(value, "|", " "))
	}
	return exclusive
}

// fishQuote quotes a word for fish, which supports only two escapes inside quotes.
func fishQuote(word string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(word) + "'"
}
