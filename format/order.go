package format

// order checks whether a record is allowed after the previous ones.
type order struct {
	bare   bool // any order is allowed (NewSequenceReader)
	header bool
	stage  string
	layers int64
	// components is the number of component records.
	components int
	last       string // path of the last file in the section, or ""
}

func orderf(format string, args ...any) error { return faultf(ClassOrder, format, args...) }

func (o *order) check(rec Record) error {
	if o.bare {
		if _, ok := rec.(*Layer); ok {
			o.layers++ // the index of the next layer record without an index
		}
		return nil
	}
	if _, isHeader := rec.(*Header); isHeader == o.header {
		if isHeader {
			return orderf("a second header")
		}
		return orderf("the first record is a %q, not a header", rec.kind().String())
	}
	switch rec := rec.(type) {
	case *Header:
		o.header, o.stage = true, rec.Stage
	case *Component:
		if o.layers > 0 {
			return orderf("component %q comes after a layer", clip(rec.Name))
		}
		if o.components++; o.components > MaxComponents {
			return limitf("the stream has more than %d component records", MaxComponents)
		}
	case *Layer:
		return o.layer(rec)
	case *File:
		return o.file(rec)
	}
	return nil
}

func (o *order) layer(l *Layer) error {
	if o.stage == StageScan || o.stage == StageAssign {
		return orderf("unexpected layer in a stream of stage %s", o.stage)
	}
	if o.layers == 0 && o.last != "" {
		return orderf("a layer follows file %q, which is not in a layer", clip(o.last))
	}
	if l.Index != o.layers {
		return orderf("layer %d is out of order: expected layer %d", l.Index, o.layers)
	}
	o.layers++
	o.last = ""
	return nil
}

func (o *order) file(f *File) error {
	if o.stage == StagePack && o.layers == 0 {
		return orderf("file %q is not in a layer", clip(f.Path))
	}
	if o.layers == 0 && f.Implied {
		return orderf("%q is implied, but not in a layer", clip(f.Path))
	}
	if o.last != "" {
		switch c := ComparePaths(o.last, f.Path); {
		case c == 0:
			return orderf("path %q occurs twice", clip(f.Path))
		case c > 0:
			return orderf("path %q comes after %q", clip(f.Path), clip(o.last))
		}
	}
	o.last = f.Path
	return nil
}
