package pack

import (
	"slices"

	"chunkah/format"
	"chunkah/lib/group"
)

// learn sets what previous images and this image reveal about how each component changes. Without a
// previous image, it sets nothing, so that the plan depends only on the root.
func (t *tree) learn(prev *group.Previous) {
	if prev == nil {
		return
	}
	for i, l := range group.Learn(t.items(), withoutDeletions(prev)) {
		t.components[i].learned = l
	}
}

// withoutDeletions returns the previous image without its whiteouts. They belong to no component of
// the root, so if they were kept, the root would seem to have changed.
func withoutDeletions(prev *group.Previous) *group.Previous {
	own := *prev
	own.Layers = slices.Clone(prev.Layers)
	isDeletions := func(m group.Member) bool { return m.Name == format.Deletions }
	for i, l := range own.Layers {
		if slices.ContainsFunc(l, isDeletions) {
			own.Layers[i] = slices.DeleteFunc(slices.Clone(l), isDeletions)
		}
	}
	return &own
}

// state is the information in a layer's record about one component.
type state struct {
	fingerprint, contents string
	time                  int64 // upper bound of the mtimes of the component's files
	learned               group.Learned
}

// state returns a component's state in this image. It is empty if the image does not contain the
// component.
func (t *tree) state(name string) state {
	c := t.byName[name]
	if c == nil {
		return state{}
	}
	return state{fingerprint: short(c.record.Fingerprint), contents: c.contents, time: c.clamp, learned: c.learned}
}

// setStates adds the states of a layer's components to its record. It leaves out lists without
// known elements.
func setStates(rec *format.Layer, states []state) {
	rec.Fingerprints, rec.Times, rec.Contents, rec.Updated, rec.Surprises = nil, nil, nil, nil, nil
	contents, updated, surprises := false, false, false
	for _, s := range states {
		rec.Fingerprints = append(rec.Fingerprints, s.fingerprint)
		rec.Times, rec.Contents = append(rec.Times, s.time), append(rec.Contents, s.contents)
		rec.Updated, rec.Surprises = append(rec.Updated, s.learned.Updated), append(rec.Surprises, int64(s.learned.Surprises))
		contents, updated, surprises = contents || s.contents != "", updated || s.learned.Updated > 0, surprises || s.learned.Surprises > 0
	}
	if !contents {
		rec.Times, rec.Contents = nil, nil
	}
	if !updated {
		rec.Updated = nil
	}
	if !surprises {
		rec.Surprises = nil
	}
}

// statesIn returns the states in a record that has fingerprints.
func statesIn(rec *format.Layer) []state {
	states := make([]state, len(rec.Components))
	for i := range states {
		s := &states[i]
		s.fingerprint = rec.Fingerprints[i]
		if len(rec.Contents) > 0 && len(rec.Times) > 0 {
			s.contents, s.time = rec.Contents[i], rec.Times[i]
		}
		if len(rec.Updated) > 0 {
			s.learned.Updated = rec.Updated[i]
		}
		if len(rec.Surprises) > 0 {
			s.learned.Surprises = group.Surprises(rec.Surprises[i])
		}
	}
	return states
}

// refresh brings the records of kept layers up to date. Most components are only in kept layers,
// and the next build compares the root with the plan's information about them. So refresh
// updates a component's state only in the record of the uppermost layer that contains the
// component. The records of lower layers keep the state from when these layers were made.
func (t *tree) refresh(out *contentsOfLayers) {
	seen := map[string]bool{format.Deletions: true}
	for _, l := range out.layers {
		for _, m := range l.Members {
			seen[out.above.components[m].record.Name] = true
		}
	}
	for i := range slices.Backward(out.kept) {
		k := &out.kept[i]
		if k.Record == nil || len(k.Record.Fingerprints) == 0 {
			continue // only names are known
		}
		rec := *k.Record
		states := statesIn(&rec)
		for at, name := range rec.Components {
			if !seen[name] {
				seen[name], states[at] = true, t.state(name)
			}
		}
		setStates(&rec, states)
		k.Record = &rec
	}
}
