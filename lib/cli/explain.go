package cli

import (
	"fmt"
	"io"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/quote"
)

// nowhere takes a stream that nobody wants: the answer to a question comes in
// its place.
type nowhere struct{}

func (nowhere) Write(format.Record) error { return nil }
func (nowhere) Finish() error             { return nil }

// explain says which component a path has, and who claimed it.
func explain(w io.Writer, o *assign.Outcome) error {
	x, p := o.Explained, newPrinter(w)
	if len(x.Components) == 0 {
		p.linef("%s: no component of its own: it is in the layers of what it holds", quote.Name(x.Path))
	} else {
		p.linef("%s: %s", quote.Name(x.Path), quote.Names(x.Components))
	}
	if len(x.Before) > 0 {
		p.linef("  it came with that: %s", quote.Names(x.Before))
	}
	won := len(x.Before) > 0
	for _, c := range o.Claimants {
		kind, verdict := "claims", "another one went before"
		if c.Fallback {
			kind = "would take"
		}
		if c.Won {
			verdict, won = "this one counts", true
		}
		p.linef("  %s %s it for %s%s: %s", c.Repo, kind, quote.Names(c.Components), listedBy(c.Packages), verdict)
	}
	if !won && len(x.Components) > 0 && len(o.Claimants) == 0 {
		p.linef("  nobody claims it: it goes by where it stands, or with another name of its inode")
	}
	return p.flush()
}

// maxListedBy bounds the packages that are named: a directory may be in all.
const maxListedBy = 5

// listedBy names the packages that list a file.
func listedBy(packages []string) string {
	switch more := len(packages) - maxListedBy; {
	case len(packages) == 0:
		return ""
	case more > 0:
		return fmt.Sprintf(" (listed by %s and %d more)", quote.Names(packages[:maxListedBy]), more)
	}
	return fmt.Sprintf(" (listed by %s)", quote.Names(packages))
}

// summarize prints what each repo found, and the largest of what nobody claimed.
func summarize(w io.Writer, o *assign.Outcome) error {
	p := newPrinter(w)
	t := p.table()
	t.row("repo", "packages", "components", "files", "bytes", "")
	for _, s := range o.Summaries {
		if s.Found {
			t.row(s.Repo, s.Packages, s.Components, s.Files, bytesText(s.Bytes), "")
		}
	}
	t.end()
	if len(o.Leftovers) > 0 {
		p.linef("")
		p.linef("largest of what nobody claimed:")
	}
	for _, f := range o.Leftovers {
		p.linef("%12s  %s", bytesText(max(f.Size, 0)), quote.Name(f.Path))
	}
	return p.flush()
}
