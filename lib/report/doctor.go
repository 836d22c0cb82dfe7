package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"chunkah/lib/console"
	"chunkah/lib/doctor"
)

// maxPlaces is the largest number of places shown for a finding. People read only a few before they
// act.
const maxPlaces = 6

// harms describe the effects of findings.
var harms = map[doctor.Harm]string{
	doctor.HarmReuse: "reduces layer reuse", doctor.HarmBoot: "breaks booting",
	doctor.HarmSecret: "leaks a secret", doctor.HarmBuild: "stops the build", doctor.HarmSize: "makes the image large",
	doctor.HarmClient: "some clients cannot create them",
}

// Finding prints a finding from chunkah doctor.
func Finding(p *Printer, f *doctor.Finding) {
	sum := ""
	if f.Files > 0 { // a finding can also be about directories or missing files
		sum = fmt.Sprintf(": %s, %s", console.Plural(f.Files, "file"), console.Bytes(f.Bytes))
	}
	p.Linef("%s: %s (%s)%s", f.ID, f.What, harms[f.Harm], sum)
	places := slices.Clone(f.Places)
	slices.SortStableFunc(places, func(a, b doctor.Place) int { return cmp.Compare(b.Bytes, a.Bytes) })
	for _, place := range places[:min(len(places), maxPlaces)] {
		if f.Files == 0 {
			p.Linef("  %q", place.Path)
			continue
		}
		files := ""
		if strings.HasSuffix(place.Path, "/") {
			files = console.Plural(place.Files, "file") + ", "
		}
		p.Linef("  %q: %s%s", place.Path, files, console.Bytes(place.Bytes))
	}
	if more := len(places) - maxPlaces; more > 0 {
		p.Linef("  and %s more, which --json lists", console.Plural(more, "place"))
	}
	p.Linef("  fix: %s", f.Advice)
}
