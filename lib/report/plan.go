package report

import (
	"fmt"
	"strings"

	"chunkah/lib/console"
	"chunkah/lib/pack"
	"chunkah/lib/patch"
	"chunkah/lib/quote"
)

// PlanLines formats the plan for people: two lines per layer, from the bottom up. The first line
// shows numbers and reasons, the second line shows components.
func PlanLines(x *pack.Explanation) []string {
	lines := []string{"layer        size  changes/week  blobs/week  chain stays  chains/week"}
	linef := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for i, l := range x.Layers {
		line := fmt.Sprintf("%5d%12s%14s%12s%13s%13s  %s", x.First+int64(i), console.Bytes(l.Bytes), console.Percent(l.ChangePPM), console.Bytes(l.Expected),
			console.Percent(l.ChainPPM), console.Bytes(l.ChainExpected), reason(l))
		linef("%s", strings.TrimRight(line, " "))
		linef("       %s", quote.Names(l.Components))
	}
	linef("total%12s%26s%26s  in %s (limit: %d)", console.Bytes(x.Bytes), console.Bytes(x.Expected), console.Bytes(x.ChainExpected),
		console.Plural(len(x.Layers), "layer"), x.Max)
	if x.First > 0 {
		of := "source"
		if x.Patch != nil {
			of = "previous image"
		}
		linef("Below them, layers 0 to %d are kept from the %s.", x.First-1, of)
	}
	linef("")
	if kept := keptLayers(x.Layers); kept > 0 {
		linef("Unchanged from the previous image: %d of %s.", kept, console.Plural(len(x.Layers), "layer"))
	}
	linef("Expected per week, before compression: podman and containerd download %s and unpack %s; docker (overlay2) downloads and unpacks %[2]s.",
		console.Bytes(x.Expected), console.Bytes(x.ChainExpected))
	lines = append(lines, cheapestMerger(x)...)
	lines = append(lines, patchLines(x.Patch)...)
	for _, c := range []*pack.Change{x.Fewer, x.More} {
		if c == nil {
			continue
		}
		linef("with --max %d: blobs %s per week (%s), chains %s (%s); %s of %d would differ", x.First+int64(c.Max), console.Bytes(c.Expected), signed(c.Expected-x.Expected),
			console.Bytes(c.ChainExpected), signed(c.ChainExpected-x.ChainExpected), console.Plural(c.Differ, "layer"), c.Layers)
	}
	return lines
}

// patchLines lists the layers of the previous image, whether each is kept, and the reasons.
func patchLines(w *pack.PatchWhy) (lines []string) {
	if w == nil {
		return nil
	}
	lines = append(lines, "", "Layers of the previous image:", "layer        size       stale")
	kept, bytes := 0, int64(0)
	for i, l := range w.Layers {
		if l.Reason == patch.Kept {
			kept, bytes = kept+1, bytes+l.Bytes
		}
		lines = append(lines, fmt.Sprintf("%5d%12s%12s  %s", i, console.Bytes(l.Bytes), console.Bytes(l.Stale), fate(l)))
		if len(l.Components) > 0 {
			lines = append(lines, "       "+quote.Names(l.Components))
		}
	}
	return append(lines, fmt.Sprintf("kept %d of %s (%s); %s of new files; %s of stale files (%s of the image, limit: %s)", kept, console.Plural(len(w.Layers), "layer"),
		console.Bytes(bytes), console.Bytes(w.New), console.Bytes(w.Stale), console.Percent(share(w.Stale, w.Bytes)), console.Percent(w.MaxStalePPM)))
}

// share returns part/whole in parts per million.
func share(part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	return int64(float64(part) / float64(whole) * 1_000_000)
}

// fate describes what happens to a layer of the previous image.
func fate(l pack.PatchLayerWhy) string {
	switch l.Reason {
	case patch.Kept:
		return "kept"
	case patch.Empty:
		return "dropped: all its files are hidden"
	case patch.Unusable:
		return "rewritten because it cannot be kept: " + quote.Name(l.Fault)
	}
	return "rewritten because " + l.Reason.Text()
}

// cheapestMerger returns a line that names the two layers that are cheapest to merge, if the plan
// contains at least two layers.
func cheapestMerger(x *pack.Explanation) []string {
	if len(x.Layers) < 2 {
		return nil
	}
	best := 0
	for i, l := range x.Layers {
		if l.Joined < x.Layers[best].Joined {
			best = i
		}
	}
	return []string{fmt.Sprintf("Cheapest to merge: layers %d and %d, for %s more per week.",
		x.First+int64(best), x.First+int64(x.Layers[best].Neighbour), console.Bytes(x.Layers[best].Joined))}
}

// keptLayers counts the layers that are the same as in the previous image.
func keptLayers(layers []pack.Why) (n int) {
	for _, l := range layers {
		if l.Was == pack.PastKept {
			n++
		}
	}
	return n
}

// reason describes what changed in a layer since the previous image, and how much would be saved by
// putting each of its components into a layer of its own.
func reason(l pack.Why) string {
	var why []string
	switch l.Was {
	case pack.PastChanged:
		why = append(why, "in the previous image, changed")
	case pack.PastNew:
		why = append(why, "not in the previous image")
	}
	if n := len(l.Components); n > 1 {
		why = append(why, fmt.Sprintf("%d components: separate layers would save %s and need %s more", n,
			console.Bytes(max(l.Expected-l.Apart, 0)), console.Plural(n-1, "layer")))
	}
	return strings.Join(why, "; ")
}

// signed formats a difference between sizes.
func signed(n int64) string {
	if n < 0 {
		return console.Bytes(-n) + " less"
	}
	return console.Bytes(n) + " more"
}
