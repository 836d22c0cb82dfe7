package pack

import (
	"chunkah/format"
	"chunkah/lib/group"
)

// Content describes a component independently of its layer.
type Content struct {
	Name string
	// Files are the paths of the component's records, including directories, in order.
	Files []string
	// Size is the total size of the component's regular files, in bytes. An inode with several
	// names counts once.
	Size int64
	// Stability is the chance that the component does not change within a week, in parts per
	// million.
	Stability int64
}

// contents lists the components, sorted by name.
func (t *tree) contents(opt group.Options) []Content {
	stability := t.stability(opt)
	list := make([]Content, len(t.components))
	linked := make(map[int64]bool)
	for i, c := range t.components {
		list[i] = Content{Name: c.record.Name, Files: make([]string, 0, len(c.files)), Stability: stability[i]}
		for _, n := range c.files {
			f := t.files[n]
			list[i].Files = append(list[i].Files, f.Path)
			if f.Type == format.TypeFile && (f.Hardlink == 0 || !linked[f.Hardlink]) {
				list[i].Size += max(f.Size, 0)
			}
			if f.Hardlink != 0 {
				linked[f.Hardlink] = true
			}
		}
	}
	return list
}
