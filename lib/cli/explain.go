package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"chunkah/format"
	"chunkah/lib/assign"
)

// nowhere takes a stream that nobody wants: the answer to a question comes in
// its place.
type nowhere struct{}

func (nowhere) Write(format.Record) error { return nil }
func (nowhere) Finish() error             { return nil }

// explain says which component a path has, and who claimed it.
func explain(w io.Writer, o *assign.Outcome) error {
	x := o.Explained
	var b strings.Builder
	switch {
	case len(x.Components) == 0:
		fmt.Fprintf(&b, "%s: no component of its own: it is in the layers of what it holds\n", x.Path)
	default:
		fmt.Fprintf(&b, "%s: %s\n", x.Path, strings.Join(x.Components, ", "))
	}
	if len(x.Before) > 0 {
		fmt.Fprintf(&b, "  it came with that: %s\n", strings.Join(x.Before, ", "))
	}
	won := len(x.Before) > 0
	for _, c := range o.Claimants {
		kind, verdict := "claims", "another one went before"
		if c.Weak {
			kind = "would take"
		}
		if c.Won {
			verdict, won = "this one counts", true
		}
		fmt.Fprintf(&b, "  %s %s it for %s%s: %s\n", c.Repo, kind, strings.Join(c.Components, ", "), listedBy(c.Packages), verdict)
	}
	if !won && len(x.Components) > 0 {
		if len(o.Claimants) == 0 {
			fmt.Fprintln(&b, "  nobody claims it: it goes by where it stands, or with another name of its inode")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// maxListedBy bounds the packages that are named: a directory may be in all.
const maxListedBy = 5

// listedBy names the packages that list a file.
func listedBy(packages []string) string {
	switch more := len(packages) - maxListedBy; {
	case len(packages) == 0:
		return ""
	case more > 0:
		return fmt.Sprintf(" (listed by %s and %d more)", strings.Join(packages[:maxListedBy], ", "), more)
	}
	return fmt.Sprintf(" (listed by %s)", strings.Join(packages, ", "))
}

// summarize prints what each repo found, and the largest of what nobody claimed.
func summarize(w io.Writer, o *assign.Outcome) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "repo\tpackages\tcomponents\tfiles\tbytes\t")
	for _, s := range o.Summaries {
		if s.Found {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t\n", s.Repo, s.Packages, s.Components, s.Files, bytesText(s.Bytes))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(o.Leftovers) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w, "\nlargest of what nobody claimed:"); err != nil {
		return err
	}
	for _, f := range o.Leftovers {
		if _, err := fmt.Fprintf(w, "%12s  %s\n", bytesText(max(f.Size, 0)), format.Text(f.Path)); err != nil {
			return err
		}
	}
	return nil
}
