package format

// The limits of the interner. They are enough for the components of an image, and keep a hostile
// stream from using much memory.
const (
	maxInterned     = 1 << 16 // number of strings
	maxInternedText = 256     // bytes of one string
)

// interner makes equal strings share memory, because a component's name occurs in each of its
// files. It keeps lists of one string, because most files have one component.
type interner struct {
	lists map[string][]string
	last  []string // the list that was returned last, because neighbours often have the same components
}

func newInterner() *interner { return &interner{lists: make(map[string][]string)} }

// list returns a list with one string, which several records can share. Its capacity equals its
// length, so that an append copies it.
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
