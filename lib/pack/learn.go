package pack

import (
	"chunkah/format"
	"chunkah/lib/group"
)

// learn sets the knowledge about each component that the last images and this one provide. Without
// a last image nothing is known, so that the plan depends only on the root.
func (t *tree) learn(prev *group.Previous) {
	if prev == nil {
		return
	}
	for i, l := range group.Learn(t.items(), prev) {
		t.components[i].learned = l
	}
}

// addLearned adds this knowledge to a layer's record, for the next build. It leaves out lists
// without known elements.
func (t *tree) addLearned(rec *format.Layer) {
	updated, surprises := false, false
	for _, name := range rec.Components {
		l := t.byName[name].learned
		rec.Updated, rec.Surprises = append(rec.Updated, l.Updated), append(rec.Surprises, int64(l.Surprises))
		updated, surprises = updated || l.Updated > 0, surprises || l.Surprises > 0
	}
	if !updated {
		rec.Updated = nil
	}
	if !surprises {
		rec.Surprises = nil
	}
}
