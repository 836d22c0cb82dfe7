package format

// The interner's bounds: enough for the components of an image, little enough
// for a stream made to fill memory.
const (
	maxInterned     = 1 << 16 // texts
	maxInternedText = 256     // bytes of one
)

// interner makes equal texts share their memory: a component's name stands in
// each of its files. The list of one text is what is kept, since most files have
// one component, and the text is in it.
type interner struct {
	lists map[string][]string
	last  []string // the one asked for last: neighbours tend to have the same
}

func newInterner() *interner { return &interner{lists: make(map[string][]string)} }

// list returns a list of one text that others may have as well. It has no room
// to append to.
func (in *interner) list(b []byte) []string {
	if in.last != nil && in.last[0] == string(b) {
		return in.last
	}
	list, known := in.lists[string(b)]
	if !known {
		list = []string{string(b)}
		if len(b) > maxInternedText || len(in.lists) >= maxInterned {
			return list
		}
		in.lists[list[0]] = list
	}
	in.last = list
	return list
}

func (in *interner) text(b []byte) string { return in.list(b)[0] }
