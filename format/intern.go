package format

// maxInterned bounds the texts that an interner remembers: enough for the
// components of an image, little enough for a stream made to fill memory.
const maxInterned = 1 << 16

// interner makes equal texts share their memory: a component's name stands in
// each of its files.
type interner struct {
	texts map[string]string
	lists map[string][]string // lists of one element, by that element
}

func newInterner() *interner {
	return &interner{texts: make(map[string]string), lists: make(map[string][]string)}
}

func (in *interner) text(s string) string {
	if known, ok := in.texts[s]; ok {
		return known
	}
	if len(in.texts) < maxInterned {
		in.texts[s] = s
	}
	return s
}

func (in *interner) bytes(b []byte) string {
	if known, ok := in.texts[string(b)]; ok {
		return known
	}
	return in.text(string(b))
}

// list returns a shared list of one element; it has no room to append to.
func (in *interner) list(list []string) []string {
	if len(list) != 1 {
		return list
	}
	if known, ok := in.lists[list[0]]; ok {
		return known
	}
	if len(in.lists) < maxInterned {
		in.lists[list[0]] = list[:1:1]
	}
	return list[:1:1]
}
