// Package plan stores the layout of an image for the next build: the components of each layer and
// their state.
//
// A plan is a sequence of layer records (format/SPEC.md, section 14). It is stored in a file, for
// example a packed stream, or in the history of an image's config. Damaged, unknown or surplus
// layers are ignored and reported in a one-line note.
package plan

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"chunkah/format"
	"chunkah/lib/group"
)

// These are the limits of a plan, which also limit its memory. No image has more layers, and no
// file system has more components.
const (
	maxLayers  = 4096
	maxMembers = 1 << 18
	maxText    = 64 << 20 // bytes of names, fingerprints and contents
)

// Read reads a plan. It returns nil if the plan does not contain layers. The note describes faults
// in one line; it is empty if there are none. An error is always a read error.
func Read(r io.Reader, name string) (prev *group.Previous, note string, err error) {
	source := &failing{Reader: r}
	in := bufio.NewReader(source)
	var records io.Reader = in
	packed := false
	if first, err := in.Peek(1); err == nil && first[0] == zstdMagic {
		z, err := unpack(in)
		if err != nil {
			return nil, fmt.Sprintf("%s: %s: planning without the previous layout", name, err), source.err
		}
		defer z.Close()
		records, packed = z, true
	}
	var l layout
	fault := l.read(records, name)
	var damage *format.Error
	switch {
	case errors.As(fault, &damage), errors.Is(fault, errTooMuch):
		return l.previous(), fmt.Sprintf("%s: %s", fault, l.used("before the damage")), nil
	case fault != nil && packed && source.err == nil: // damaged compression
		return l.previous(), fmt.Sprintf("%s: %s: %s", name, errors.Unwrap(fault), l.used("before the damage")), nil
	case fault != nil:
		return nil, "", fault
	case len(l.layers) == 0:
		return l.previous(), name + " contains no layers: planning without the previous layout", nil
	case !l.known:
		return l.previous(), name + " contains no fingerprints, so all its components count as unchanged", nil
	}
	return l.previous(), "", nil
}

// Starts reports whether a file that begins with this byte can be a plan: a JSON object, white
// space, a msgpack map, or zstd. No archive format starts with these bytes.
func Starts(first byte) bool {
	switch first {
	case '{', ' ', '\t', '\n', '\r', 0xde, 0xdf, zstdMagic:
		return true
	}
	return first >= 0x80 && first <= 0x8f
}

// layout collects layers, within the limits.
type layout struct {
	layers  [][]group.Member
	times   map[string]group.Dated
	learned map[string]group.Learned
	members int
	text    int
	known   bool // at least one component has a fingerprint
}

var errTooMuch = errors.New("too large for a plan")

// read adds the layers of a sequence of records.
func (l *layout) read(r io.Reader, name string) error {
	in := format.NewSequenceReader(r, name)
	for rec, err := range format.All(in) {
		if err != nil {
			return err
		}
		if rec, ok := rec.(*format.Layer); ok {
			if err := l.add(rec); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// add adds one layer. A layer without components is ignored.
func (l *layout) add(rec *format.Layer) error {
	if len(rec.Components) == 0 {
		return nil
	}
	text := 0
	for _, list := range [][]string{rec.Components, rec.Fingerprints, rec.Contents} {
		for _, s := range list {
			text += len(s)
		}
	}
	if len(l.layers) == maxLayers || l.members+len(rec.Components) > maxMembers || l.text+text > maxText {
		return errTooMuch
	}
	l.members, l.text = l.members+len(rec.Components), l.text+text
	if l.times == nil {
		l.times, l.learned = make(map[string]group.Dated), make(map[string]group.Learned)
	}
	members := make([]group.Member, len(rec.Components))
	for i, name := range rec.Components {
		members[i].Name = name
		if len(rec.Fingerprints) > 0 {
			members[i].Fingerprint = rec.Fingerprints[i]
			l.known = l.known || rec.Fingerprints[i] != ""
		}
		if len(rec.Times) > 0 && len(rec.Contents) > 0 && rec.Contents[i] != "" {
			l.times[name] = group.Dated{Contents: rec.Contents[i], Time: rec.Times[i]}
		}
		l.learn(name, rec, i)
	}
	l.layers = append(l.layers, members)
	return nil
}

// learn stores what the previous images recorded about a component. In an image with patch layers,
// a component can be in several layers. The uppermost layer is the latest.
func (l *layout) learn(name string, rec *format.Layer, i int) {
	var at group.Learned
	if len(rec.Updated) > 0 {
		at.Updated = rec.Updated[i]
	}
	if len(rec.Surprises) > 0 {
		at.Surprises = group.Surprises(rec.Surprises[i])
	}
	if delete(l.learned, name); at != (group.Learned{}) {
		l.learned[name] = at
	}
}

// previous returns the result. It is nil if there are no layers.
func (l *layout) previous() *group.Previous {
	if len(l.layers) == 0 {
		return nil
	}
	return &group.Previous{Layers: l.layers, Times: l.times, Learned: l.learned}
}

// used describes how much of a damaged plan is used.
func (l *layout) used(which string) string {
	switch n := len(l.layers); n {
	case 0:
		return "planning without the previous layout"
	case 1:
		return "using the one layer " + which
	default:
		return fmt.Sprintf("using the %d layers %s", n, which)
	}
}

// Marshal returns the plan as JSON Lines.
func Marshal(layers []*format.Layer) ([]byte, error) {
	var b bytes.Buffer
	for _, l := range layers {
		line, err := format.Line(l)
		if err != nil {
			return nil, err
		}
		b.WriteString(line + "\n")
	}
	return b.Bytes(), nil
}
