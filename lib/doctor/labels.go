package doctor

import "strings"

// findOSTreeLabels looks for labels of an ostree commit whose layers the image does not have, as
// tools leave them that make other layers of an image.
func findOSTreeLabels(e *Examiner, f Finding) (_ Finding, found bool) {
	if e.opt.Config == nil {
		return f, false
	}
	if _, found = e.opt.Config.Unmatched(e.opt.DiffIDs); !found {
		return f, false
	}
	var edits []string
	for _, name := range e.opt.Config.AboutLayers(nil, nil) {
		if _, is := e.opt.Config.Labels[name]; is && strings.HasPrefix(name, "ostree.") {
			edits = append(edits, "--label", name+"-")
		}
	}
	f.Advice = "build the image again with chunkah build --from, which leaves them out; elsewhere remove them: " + words(edits)
	return f, true
}
