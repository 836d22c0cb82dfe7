package report

import (
	"fmt"
	"strings"

	"chunkah/lib/console"
	"chunkah/lib/quote"
	"chunkah/lib/reuse"
)

// markdownParts is the largest number of components in a table, because a comment on a pull request
// should fit on one or two screens.
const markdownParts = 20

// Markdown prints the steps as tables in Markdown.
func Markdown(p *Printer, s *reuse.Series, chosen reuse.Client) {
	for i, step := range s.Steps {
		if i > 0 {
			p.Linef("")
		}
		p.Linef("**%s** to **%s**", markdown(step.Old), markdown(step.New))
		p.Linef("")
		p.Linef("| client | downloads | layers | unpacks |")
		p.Linef("| --- | ---: | ---: | ---: |")
		for _, client := range shownClients(chosen) {
			cost := step.Cost(client)
			p.Linef("| %s | %s of %s | %d of %d | %s |", clientTexts[client], console.Bytes(cost.Download),
				console.Bytes(step.Bytes), cost.DownloadLayers, step.Layers, unpackText(cost))
		}
		markdownStale(p, step)
		markdownTable(p, step)
	}
}

// markdownStale prints the stale bytes of the new image, and the rewritten layers.
func markdownStale(p *Printer, s *reuse.Step) {
	if lines := StaleLines(s.StaleLayers, "of the new image "); len(lines) > 0 {
		p.Linef("")
		p.Linef("%s", lines[0])
		markdownList(p, lines[1:])
	}
	markdownList(p, rewrittenInOld(s.Rewritten))
}

func markdownList(p *Printer, lines []string) {
	if len(lines) > 0 {
		p.Linef("")
	}
	for _, line := range lines {
		p.Linef("- %s", markdown(line))
	}
}

// markdownTable prints the downloaded components, the largest first.
func markdownTable(p *Printer, s *reuse.Step) {
	parts := bySize(s.Parts)
	if len(parts) == 0 {
		return
	}
	p.Linef("")
	p.Linef("| download | component: why unchanged data is downloaded |")
	p.Linef("| ---: | --- |")
	for _, part := range parts[:min(len(parts), markdownParts)] {
		p.Linef("| %s | %s |", sizeText(part.Download), markdown(partText(&part)))
	}
	if more := len(parts) - markdownParts; more > 0 {
		p.Linef("")
		p.Linef("and %s more", console.Plural(more, "component"))
	}
}

// markdown escapes text so that it contains no markup.
func markdown(s string) string {
	var b strings.Builder
	for _, r := range quote.Line(s) {
		switch {
		case r == '<' || r == '>' || r == '&':
			fmt.Fprintf(&b, "&#%d;", r)
		case strings.ContainsRune("\\`*_{}[]|~#", r):
			b.WriteRune('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
