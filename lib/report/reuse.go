package report

import (
	"cmp"
	"fmt"
	"slices"

	"chunkah/lib/console"
	"chunkah/lib/inspect"
	"chunkah/lib/quote"
	"chunkah/lib/reuse"
)

// Series prints the steps, and their average if there are several.
func Series(p *Printer, s *reuse.Series, chosen reuse.Client) {
	if len(s.Steps) == 1 {
		printStep(p, s.Steps[0], chosen, "")
		return
	}
	clients := shownClients(chosen)
	t := p.table()
	head := []any{"step"}
	for _, client := range clients {
		head = append(head, client)
	}
	t.row(append(head, "unpack", "of", "  image")...)
	for i, step := range s.Steps {
		t.row(costCells(i+1, step.Cost, clients, 1, console.Bytes(step.Bytes), "  "+quote.Name(step.New))...)
	}
	n := int64(len(s.Steps))
	t.row(costCells("mean", s.Cost, clients, n, "", "  per step")...)
	t.row(costCells("total", s.Cost, clients, 1, "", "  in "+console.Plural(n, "step"))...)
	t.end()
	for i, step := range s.Steps {
		if step.Partial != nil && len(step.Parts) == 0 {
			p.Linef("step %d: %s", i+1, partialText(step))
		}
		if len(step.Parts) > 0 {
			p.Linef("")
			printStep(p, step, chosen, fmt.Sprintf("step %d: ", i+1))
		}
	}
}

// shownClients returns the chosen client, or all clients if none is chosen.
func shownClients(chosen reuse.Client) []reuse.Client {
	if chosen != "" {
		return []reuse.Client{chosen}
	}
	return reuse.Clients
}

// costCells returns a table row: the cell first, the download of each client, the unpacked size
// (the same for all clients), and the cells last. The sizes are divided by n.
func costCells(first any, of func(reuse.Client) reuse.Cost, clients []reuse.Client, n int64, last ...any) []any {
	cells, unpack := []any{first}, "-"
	for _, client := range clients {
		cost := of(client)
		cells = append(cells, console.Bytes(cost.Download/n))
		if cost.Unpack != nil {
			unpack = console.Bytes(*cost.Unpack / n)
		}
	}
	return append(append(cells, unpack), last...)
}

// clientTexts are the names of clients.
var clientTexts = map[reuse.Client]string{
	reuse.Docker: "docker (overlay2)", reuse.Podman: "podman", reuse.Containerd: "containerd",
}

// partialText describes what podman downloads with partial pulls.
func partialText(s *reuse.Step) string {
	c := s.Partial
	text := fmt.Sprintf("podman with partial pulls downloads %s of %s, including %s of tables, in %s of %s", console.Bytes(c.Download),
		console.Bytes(s.Bytes), console.Bytes(c.Tables), console.Plural(c.Ranges, "piece"), console.Plural(c.Layers, "layer"))
	if c.Whole > 0 {
		text += fmt.Sprintf(", %d of them whole", c.Whole)
	}
	return text
}

// unpackText formats how much a client unpacks. If the layers were not read, only the sizes of
// their blobs are known.
func unpackText(c reuse.Cost) string {
	layers := console.Plural(c.UnpackLayers, "layer")
	if c.Unpack == nil {
		return fmt.Sprintf("%s (%s compressed)", layers, console.Bytes(c.UnpackBlobs))
	}
	return fmt.Sprintf("%s in %s", console.Bytes(*c.Unpack), layers)
}

// printStep prints the cost of a step and its reasons, below a line that begins with title.
func printStep(p *Printer, s *reuse.Step, chosen reuse.Client, title string) {
	p.Linef("%s%s to %s", title, quote.Name(s.Old), quote.Name(s.New))
	for _, client := range shownClients(chosen) {
		cost := s.Cost(client)
		p.Linef("%s downloads %s of %s, in %d of %s, and unpacks %s", clientTexts[client], console.Bytes(cost.Download), console.Bytes(s.Bytes),
			cost.DownloadLayers, console.Plural(s.Layers, "layer"), unpackText(cost))
	}
	if s.Partial != nil {
		p.Linef("%s", partialText(s))
	}
	if s.SameTarLayers > 0 {
		p.Linef("%s of the downloads, in %s, have the same contents as before and differ only in compression", console.Bytes(s.SameTar), console.Plural(s.SameTarLayers, "layer"))
	}
	for _, line := range slices.Concat(StaleLines(s.StaleLayers, "of the new image "), rewrittenInOld(s.Rewritten)) {
		p.Linef("%s", line)
	}
	if len(s.Parts) == 0 {
		return
	}
	p.Linef("")
	p.Linef("what %s downloads, and why:", cmp.Or(string(chosen), "podman or containerd"))
	t := p.table()
	t.row("download", "changed", "unchanged", "layer", "  component: why unchanged data is downloaded")
	parts := bySize(s.Parts)
	shown := min(len(parts), maxParts)
	for _, part := range parts[:shown] {
		t.row(sizeText(part.Download), sizeText(part.Changed), sizeText(part.Unchanged), part.Layer, "  "+partText(&part))
	}
	if rest := parts[shown:]; len(rest) > 0 {
		sum := total(rest)
		t.row(sizeText(sum.Download), sizeText(sum.Changed), sizeText(sum.Unchanged), "-",
			fmt.Sprintf("  %d more rows, which --json lists", len(rest)))
	}
	t.end()
	printReasons(p, s)
}

// maxParts is the number of components whose downloads are listed. They are the largest ones: an
// image can have hundreds.
const maxParts = 20

// total returns the sums of the sizes in parts. A sum is nil if one of its sizes is unknown.
func total(parts []reuse.Part) (sum reuse.Part) {
	var sizes [3]int64
	known := [3]bool{true, true, true}
	for i := range parts {
		for j, n := range []*int64{parts[i].Download, parts[i].Changed, parts[i].Unchanged} {
			if n == nil {
				known[j] = false
				continue
			}
			sizes[j] += *n
		}
	}
	for j, to := range []**int64{&sum.Download, &sum.Changed, &sum.Unchanged} {
		if known[j] {
			*to = &sizes[j]
		}
	}
	return sum
}

// rewrittenInOld returns lines that explain why the new image rewrote layers of the old image.
func rewrittenInOld(layers []reuse.Rewritten) (lines []string) {
	for _, l := range layers {
		lines = append(lines, fmt.Sprintf("layer %d of the old image (%s) was rewritten because %s", l.Layer, console.Bytes(l.Bytes), quote.Name(l.Reason.Text())))
	}
	return lines
}

// bySize returns the parts of a step, sorted by download with the largest first.
func bySize(parts []reuse.Part) []reuse.Part {
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b reuse.Part) int {
		return cmp.Or(cmp.Compare(bytesOf(b.Download), bytesOf(a.Download)), cmp.Compare(a.Layer, b.Layer))
	})
	return parts
}

func bytesOf(n *int64) int64 {
	if n == nil {
		return inspect.Unknown
	}
	return *n
}

// partText describes a component: its name, its state, and why its unchanged data are downloaded.
func partText(p *reuse.Part) string {
	name := shorten(p.Component)
	if p.Component == "" {
		name = oneOfSeveral
	}
	switch {
	case p.State == reuse.StateChanged && p.Changed != nil:
		name += fmt.Sprintf(": %d of %s changed", p.ChangedFiles, console.Plural(p.ChangedFiles+p.UnchangedFiles, "file"))
	case p.State == reuse.StateChanged, p.State == reuse.StateNew:
		name += ": " + string(p.State)
	}
	if p.Why != "" && p.Reason != reuse.ReasonComponent {
		name += ": " + quote.Name(p.Why)
	}
	return name
}

// reasonTexts lists the reasons in the order in which they are printed.
var reasonTexts = []struct {
	reason reuse.Reason
	text   string
}{
	{reuse.ReasonChain, "because a layer below theirs changed"},
	{reuse.ReasonStale, "because their layer was rewritten: its stale bytes exceeded the limit"},
	{reuse.ReasonRoom, "because their layer was rewritten: new files needed a layer"},
	{reuse.ReasonRewritten, "because their layer could not be kept"},
	{reuse.ReasonComponent, "because other files in the component changed"},
	{reuse.ReasonNeighbour, "because another component in the layer changed"},
	{reuse.ReasonGrouping, "because components are grouped differently"},
	{reuse.ReasonRemoved, "because files of their layer were removed"},
	{reuse.ReasonDirectories, "because metadata of directories changed"},
	{reuse.ReasonTimes, "because mtimes changed"},
	{reuse.ReasonCompression, "because they are compressed differently"},
	{reuse.ReasonTar, "because the tar is written differently"},
}

// printReasons prints the sum of the unchanged data by reason.
func printReasons(p *Printer, s *reuse.Step) {
	sums, all, changed := map[reuse.Reason]int64{}, int64(0), int64(0)
	for _, part := range s.Parts {
		if part.Unchanged == nil {
			return // the layers were not read
		}
		sums[part.Reason] += *part.Unchanged
		all += *part.Unchanged
		changed += *part.Changed
	}
	p.Linef("")
	t := p.table()
	t.row(console.Bytes(changed), "  changed or new")
	t.row(console.Bytes(all), "  unchanged, but downloaded")
	for _, r := range reasonTexts {
		if n := sums[r.reason]; n > 0 {
			t.row(console.Bytes(n), "    "+r.text)
		}
	}
	t.end()
}
