package cli

import (
	"context"
	"io"

	"chunkah/lib/manual"
	"chunkah/lib/transport"
)

type completionCommand struct {
	Args struct {
		Shell string `positional-arg-name:"bash|zsh|fish"`
	} `positional-args:"yes"`
}

func (c *completionCommand) leftovers() []string { return nil }

func (c *completionCommand) run(ctx context.Context, env *Env) error {
	var text string
	switch c.Args.Shell {
	case "bash":
		text = manual.Bash(describeAll(), transport.Prefixes())
	case "zsh":
		text = manual.Zsh(describeAll(), transport.Prefixes())
	case "fish":
		for _, p := range describeAll() {
			text += manual.Fish(p, transport.Prefixes())
		}
	case "":
		return usagef("no shell given: use bash, zsh or fish")
	default:
		return usagef("unsupported shell %q: use bash, zsh or fish", c.Args.Shell)
	}
	_, err := io.WriteString(env.writer(ctx), text)
	return err
}

// Manual returns the manual pages and completions that `make install` writes, keyed by their paths
// below share/.
func Manual(e manual.Edition) map[string]string {
	files := make(map[string]string)
	list := describeAll()
	bash := manual.Bash(list, transport.Prefixes())
	for _, p := range list {
		// Shells look up completions by the name of the program.
		files["bash-completion/completions/"+p.Name] = bash
		files["fish/vendor_completions.d/"+p.Name+".fish"] = manual.Fish(p, transport.Prefixes())
	}
	files["zsh/site-functions/_chunkah"] = manual.Zsh(list, transport.Prefixes())
	whole := list[0] // the stages are its subcommands
	for _, c := range append([]*manual.Command{whole}, whole.Commands...) {
		files["man/man1/"+c.Page()+".1"] = manual.ManPage(c, e)
	}
	return files
}
