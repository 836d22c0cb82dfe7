package report

import (
	"fmt"
	"io"

	"chunkah/lib/assign"
	"chunkah/lib/console"
	"chunkah/lib/quote"
)

// Explain prints the component of a path and the claims on it.
func Explain(w io.Writer, o *assign.Outcome) error {
	x, p := o.Explained, New(w)
	if len(x.Components) == 0 {
		p.Linef("%s: a directory has no component, because it is in the layers of its contents", quote.Name(x.Path))
	} else {
		p.Linef("%s: %s", quote.Name(x.Path), quote.Names(x.Components))
	}
	if len(x.Before) > 0 {
		p.Linef("  component in the input: %s", quote.Names(x.Before))
	}
	won := len(x.Before) > 0
	for _, c := range o.Claimants {
		kind, verdict := "claims the file for", "another claim takes precedence"
		if c.Fallback {
			kind = "claims the file as a fallback for"
		}
		if c.Won {
			verdict, won = "this claim is used", true
		}
		p.Linef("  %s %s %s%s: %s", c.Repo, kind, quote.Names(c.Components), listedBy(c.Packages), verdict)
	}
	if !won && len(x.Components) > 0 && len(o.Claimants) == 0 {
		p.Linef("  no repo claims this file: the component comes from the directory, or from another hard link to the file")
	}
	return p.Flush()
}

// maxListedBy is the largest number of packages listed for a path, because a directory can be in
// all packages.
const maxListedBy = 5

// listedBy lists the packages that contain a file.
func listedBy(packages []string) string {
	switch more := len(packages) - maxListedBy; {
	case len(packages) == 0:
		return ""
	case more > 0:
		return fmt.Sprintf(" (listed by %s and %d more)", quote.Names(packages[:maxListedBy]), more)
	}
	return fmt.Sprintf(" (listed by %s)", quote.Names(packages))
}

// Repos prints the result of each repo, and the largest unclaimed files.
func Repos(w io.Writer, o *assign.Outcome) error {
	p := New(w)
	t := p.table()
	t.row("repo", "packages", "components", "files", "bytes", "")
	for _, s := range o.Summaries {
		if s.Found {
			t.row(s.Repo, s.Packages, s.Components, s.Files, console.Bytes(s.Bytes), "")
		}
	}
	t.end()
	if left := o.Summaries[len(o.Summaries)-1]; left.Files > 0 {
		p.Linef("")
		p.Linef("no repo claimed %s in %s", console.Bytes(left.Bytes), console.Plural(left.Files, "file"))
	}
	for _, l := range o.UnclaimedTrees {
		p.Linef("%12s  %s looks like %s", console.Bytes(l.Bytes), quote.Name(l.Dir), l.Kind)
	}
	if len(o.Leftovers) > 0 {
		p.Linef("")
		p.Linef("largest files that no repo claimed:")
	}
	for _, f := range o.Leftovers {
		p.Linef("%12s  %s", console.Bytes(max(f.Size, 0)), quote.Name(f.Path))
	}
	return p.Flush()
}
