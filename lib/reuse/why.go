package reuse

import (
	"fmt"

	"chunkah/lib/inspect"
)

// sameTexts explain why a layer is downloaded although its tar is the same.
var sameTexts = map[Reason]string{
	ReasonChain:       "the layers below it changed",
	ReasonCompression: "the same tar, compressed differently",
}

// why returns why the unchanged part of a share is downloaded.
func (c *comparison) why(layer int, t *tally, s *share, same Reason) (Reason, string) {
	changed := t.changedShares()
	if same != "" {
		return same, sameTexts[same]
	}
	if reason, text := c.whyRewritten(s.oldLayer()); reason != "" {
		return reason, text
	}
	switch {
	case s.changedFiles > 0:
		return ReasonComponent, "other files of the component changed"
	case s.oldLayer() != t.oldLayer:
		return ReasonGrouping, fmt.Sprintf("was in layer %d of the old image; most of its new layer was in layer %d", s.oldLayer(), t.oldLayer)
	case len(changed) > 0:
		var names []string
		for _, x := range changed {
			names = append(names, c.name(x))
		}
		return ReasonNeighbour, neighbours(names)
	}
	for _, x := range t.shares {
		if x.oldLayer() != t.oldLayer {
			return ReasonGrouping, fmt.Sprintf("%s was added to its layer", c.name(x))
		}
	}
	return c.whyUnchanged(layer, t)
}

// whyUnchanged does the same as the method why, for a layer whose files are all unchanged and were
// in one layer.
func (c *comparison) whyUnchanged(layer int, t *tally) (Reason, string) {
	gone, moved := c.missingFiles(layer, t.oldLayer)
	switch {
	case moved > 0:
		return ReasonGrouping, fmt.Sprintf("%s moved from its layer to another one", files(moved))
	case gone > 0:
		return ReasonRemoved, fmt.Sprintf("%s of its layer %s removed", files(gone), was(gone))
	case t.dirs > 0:
		return ReasonDirectories, fmt.Sprintf("mode, owner or xattrs of the directory %q differ%s", t.dir, andMore(t.dirs-1))
	case t.times > 0:
		return ReasonTimes, "only mtimes differ"
	}
	return ReasonTar, "the tar is encoded differently"
}

// missingFiles counts the files in an old layer that are not in the new layer. gone counts the
// files that were removed from the image, and moved the files that are in other layers.
func (c *comparison) missingFiles(layer, oldLayer int) (gone, moved int64) {
	if oldLayer == none {
		return 0, 0
	}
	if c.news == nil {
		c.news = newIndex(c.new)
	}
	for i := range c.old.Layers[oldLayer].Entries {
		e := &c.old.Layers[oldLayer].Entries[i]
		if e.IsDir() {
			continue
		}
		switch known, here := c.news.has(e.Path, layer); {
		case !known:
			gone++
		case !here:
			moved++
		}
	}
	return gone, moved
}

// name returns the name of a share's component.
func (c *comparison) name(s *share) string {
	if s.component == inspect.NoComponent {
		return "files of unknown components"
	}
	return c.new.Components[s.component]
}

func files(n int64) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

func was(n int64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func andMore(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and of %d more", n)
}
