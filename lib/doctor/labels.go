package doctor

import "strings"

// findOSTreeLabels finds labels of an ostree commit whose layers are not in the image. Tools that
// rebuild the layers of an image can leave such labels behind.
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
	f.Advice = "rebuild the image with chunkah build --from, which drops them; with other tools remove them: " + words(edits)
	return f, true
}
