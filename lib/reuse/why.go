package reuse

import (
	"fmt"

	"chunkah/lib/inspect"
)

// sameTexts say why a layer is downloaded although its tar is the same.
var sameTexts = map[Reason]string{
	ReasonChain:       "the layers below it changed",
	ReasonCompression: "the same tar, compressed differently",
}

// why returns why the unchanged part of a share is downloaded.
func (c *comparison) why(layer int, t *tally, s *share, same Reason) (Reason, string) {
	changed := t.changers()
	switch {
	case same != "":
		return same, sameTexts[same]
	case s.changedFiles > 0:
		return ReasonComponent, "other files of it changed"
	case s.home() != t.home:
		return ReasonGrouping, fmt.Sprintf("it comes from layer %d of the old image, and most of its layer from %d", s.home(), t.home)
	case len(changed) > 0:
		var names []string
		for _, x := range changed {
			names = append(names, c.name(x))
		}
		return ReasonNeighbour, neighbours(names)
	}
	for _, x := range t.shares {
		if x.home() != t.home {
			return ReasonGrouping, fmt.Sprintf("%s came into its layer", c.name(x))
		}
	}
	return c.whyElse(layer, t)
}

// whyElse is why for a layer whose files are all unchanged and were in one layer.
func (c *comparison) whyElse(layer int, t *tally) (Reason, string) {
	gone, moved := c.left(layer, t.home)
	switch {
	case moved > 0:
		return ReasonGrouping, fmt.Sprintf("%s went from its layer to another one", files(moved))
	case gone > 0:
		return ReasonRemoved, fmt.Sprintf("%s beside it, of its layer, %s gone", files(gone), is(gone))
	case t.dirs > 0:
		return ReasonDirectories, fmt.Sprintf("mode, owner or xattrs of the directory %q differ%s", t.dir, andMore(t.dirs-1))
	case t.times > 0:
		return ReasonTimes, "nothing but times of last change differs"
	}
	return ReasonTar, "the tar is written otherwise"
}

// left counts the files of an old layer that are not in a new one: those that are
// nowhere else either, and those that are.
func (c *comparison) left(layer, home int) (gone, moved int64) {
	if home == none {
		return 0, 0
	}
	if c.news == nil {
		c.news = newIndex(c.new)
	}
	for i := range c.old.Layers[home].Entries {
		e := &c.old.Layers[home].Entries[i]
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

// name is that of a share's component.
func (c *comparison) name(s *share) string {
	if s.component == inspect.NoComponent {
		return "files that are not told apart"
	}
	return c.new.Components[s.component]
}

func files(n int64) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

func is(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func andMore(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and of %d more", n)
}
