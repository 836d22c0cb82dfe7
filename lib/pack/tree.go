package pack

import (
	"errors"
	"fmt"
	"slices"

	"chunkah/format"
	"chunkah/lib/contentid"
	"chunkah/lib/group"
	"chunkah/lib/layer"
)

// unclaimed is the component of files that belong to no other component.
var unclaimed = []string{format.Unclaimed}

// emptyDirs is the component of empty directories. It is a separate component because a directory
// leaves it as soon as the directory contains a file, and that must not change a large layer.
var emptyDirs = []string{format.EmptyDirectories}

// component is a component with its files.
type component struct {
	record *format.Component
	files  []int // indexes into tree.files, in order
	size   int64 // bytes in a tar
	clamp  int64 // the newest mtime of its files, unix seconds
	// bounded is set if the component's times are clamped regardless of the previous image, because
	// the component comes from a package or its times do not fit into an ordinary tar header.
	bounded bool
	odd     bool // its times do not fit into an ordinary tar header
	// attributes and contents are digests of everything except times (package contentid).
	// attributes excludes the contents of files, and contents includes them. contents is empty if
	// the contents of files are unknown.
	attributes contentid.Attributes
	contents   string
	learned    group.Learned
}

// tree is a whole stream in memory.
type tree struct {
	header     format.Header
	files      []*format.File
	parents    []int   // by file: the index of its directory, -1 for the root
	sizes      []int64 // by file: bytes in a tar
	records    map[string]*format.Component
	components []*component // in the order of their names
	byName     map[string]*component
	effort     *effort
	digests    *fileDigests // digests of files in components without an mtime clamp; nil if no files are read
}

func newTree() *tree {
	return &tree{effort: &effort{}, records: make(map[string]*format.Component), byName: make(map[string]*component)}
}

// finishReading completes the tree after all records are read. It sets parents, the files of
// components, and the newest mtime.
func (t *tree) finishReading() error {
	if len(t.files) == 0 {
		return errors.New("the stream contains no files")
	}
	if !t.tagged() {
		return errNoComponents
	}
	if err := t.assemble(); err != nil {
		return err
	}
	t.newest()
	return t.checkBytes()
}

// assemble adds missing parents and assigns files to components.
func (t *tree) assemble() error {
	if err := t.addParents(); err != nil {
		return err
	}
	t.effort = newEffort(t.files)
	return t.distribute()
}

// checkBytes refuses files whose total size overflows.
func (t *tree) checkBytes() error {
	bytes := int64(0)
	for _, f := range t.files {
		if bytes += max(f.Size, 0); bytes > layer.MaxBytes {
			return fmt.Errorf("the files up to %q have more than %d bytes in total", f.Path, int64(layer.MaxBytes))
		}
	}
	return nil
}

func (t *tree) tagged() bool {
	for _, f := range t.files {
		if len(f.Components) > 0 {
			return true
		}
	}
	return false
}

// maxMadeUp limits the directories that a script's stream can omit. It is the total size in bytes:
// the lengths of their paths, plus dirCost for each directory. A single path of 8 KiB can omit
// 4,000 directories, whose paths need 16 MiB in the output. The limit allows a million directories
// with paths of a hundred bytes.
const (
	maxMadeUp = 512 << 20
	dirCost   = 400
)

// addParents adds missing directories and records every file's parent.
func (t *tree) addParents() error {
	madeUp := 0
	whole := make([]*format.File, 0, len(t.files)+1)
	t.parents = make([]int, 0, len(t.files)+1)
	var above []int // indexes of the directories above the record, outermost first
	for _, f := range t.files {
		for len(above) > 0 && !format.IsBelow(whole[above[len(above)-1]].Path, f.Path) {
			above = above[:len(above)-1]
		}
		for _, dir := range missing(whole, above, f.Path) {
			above = append(above, t.place(&whole, dir, above))
			if madeUp += len(dir.Path) + dirCost; madeUp > maxMadeUp {
				return fmt.Errorf("%q: the records of missing parent directories are larger than %d bytes: add these directories to the stream, as chunkah-scan does", f.Path, maxMadeUp)
			}
		}
		at := t.place(&whole, f, above)
		if f.Type == format.TypeDir {
			above = append(above, at)
			continue
		}
		if len(above) == 0 {
			return fmt.Errorf("%q has no parent", f.Path)
		}
	}
	t.files = whole
	return t.checkParents()
}

// place appends a record after its missing parent directories.
func (t *tree) place(whole *[]*format.File, f *format.File, above []int) int {
	parent := -1
	if len(above) > 0 {
		parent = above[len(above)-1]
	}
	*whole = append(*whole, f)
	t.parents = append(t.parents, parent)
	return len(*whole) - 1
}

// missing returns the directories between above and path, with default metadata.
func missing(whole []*format.File, above []int, path string) []*format.File {
	at := ""
	if len(above) > 0 {
		at = whole[above[len(above)-1]].Path
	}
	var dirs []*format.File
	for dir := format.Parent(path); dir != at && path != "/"; dir = format.Parent(dir) {
		dirs = append(dirs, &format.File{Path: dir, Type: format.TypeDir, Mode: 0o755})
		if dir == "/" {
			break
		}
	}
	slices.Reverse(dirs)
	return dirs
}

// checkParents refuses a file below a path that is not a directory. In that case addParents has
// added a directory at the path of another record.
func (t *tree) checkParents() error {
	for i := 1; i < len(t.files); i++ {
		if t.files[i].Path == t.files[i-1].Path {
			return fmt.Errorf("%q is a %s, but has entries below it", t.files[i].Path, t.files[i-1].Type)
		}
	}
	return nil
}

// distribute assigns every record to its components. It assigns a directory to all of them, and any
// other file to the first.
func (t *tree) distribute() error {
	var last *component // the previous file's component, which is often the same
	give := func(name string, i int) {
		if last == nil || name != last.record.Name {
			last = t.component(name)
		}
		last.files = append(last.files, i)
	}
	if err := t.joinGroups(); err != nil {
		return err
	}
	for i, f := range t.files {
		if f.Type == format.TypeDir {
			t.giveDir(i, give)
			continue
		}
		if len(f.Components) == 0 {
			f.Components = unclaimed
		}
		f.Components = f.Components[:1:1]
		give(f.Components[0], i)
	}
	if len(t.byName) > format.MaxComponents {
		return fmt.Errorf("the files have %d components, above the limit of %d", len(t.byName), format.MaxComponents)
	}
	for _, name := range sortedNames(t.byName) {
		t.components = append(t.components, t.byName[name])
	}
	return nil
}

// component returns a component, and creates it if necessary.
func (t *tree) component(name string) *component {
	c := t.byName[name]
	if c == nil {
		c = &component{record: t.records[name]}
		if c.record == nil {
			c.record = &format.Component{Name: name}
		}
		t.byName[name] = c
	}
	return c
}

// giveDir assigns a directory to its components. A directory without components is written along
// with its contents, and needs a component only if it is empty.
func (t *tree) giveDir(i int, give func(string, int)) {
	f := t.files[i]
	if len(f.Components) == 0 {
		if i+1 < len(t.files) && t.parents[i+1] == i {
			return
		}
		f.Components = emptyDirs
	}
	f.Components = slices.Compact(slices.Sorted(slices.Values(f.Components)))
	for _, name := range f.Components {
		give(name, i)
	}
}

// joinGroups assigns all hard links to an inode to the component of the first link that has a
// component. It refuses links whose components conflict.
func (t *tree) joinGroups() error {
	type inode struct {
		first  *format.File
		tagged []string
	}
	inodes := make(map[int64]*inode)
	for _, f := range t.files {
		if f.Hardlink == 0 {
			continue
		}
		n := inodes[f.Hardlink]
		if n == nil {
			n = &inode{first: f}
			inodes[f.Hardlink] = n
		}
		if err := layer.CheckLink(n.first, f); err != nil {
			return err
		}
		if n.tagged == nil && len(f.Components) > 0 {
			n.tagged = f.Components
		}
	}
	for _, f := range t.files {
		if f.Hardlink != 0 {
			f.Components = inodes[f.Hardlink].tagged
		}
	}
	return nil
}

// newest records the mtime of the newest regular file, for use as the current time.
func (t *tree) newest() {
	t.header.HasNewestMtime = false
	for _, f := range t.files {
		if f.Type != format.TypeFile {
			continue
		}
		if !t.header.HasNewestMtime || f.MTime > t.header.NewestMtime {
			t.header.NewestMtime, t.header.HasNewestMtime = f.MTime, true
		}
	}
}

// measure calculates the size of each record and component in a tar. Repeated directories are not
// included, since they depend on the plan.
func (t *tree) measure() {
	t.sizes = make([]int64, len(t.files))
	firsts := make(map[int64]string)
	oldest, newest := t.span()
	for i, f := range t.files {
		first, linked := firsts[f.Hardlink]
		switch {
		case f.Type == format.TypeDir:
			t.sizes[i] = max(dirSize(f, oldest), dirSize(f, newest))
			continue
		case f.Hardlink != 0 && linked:
			t.sizes[i] = layer.LinkSize(f, first)
			continue
		case f.Hardlink != 0:
			firsts[f.Hardlink] = f.Path
		}
		t.sizes[i] = layer.EntrySize(f)
	}
	for _, c := range t.components {
		for _, i := range c.files {
			c.size += t.sizes[i]
		}
	}
}

// span returns the oldest and newest time that a layer and its directories can get.
func (t *tree) span() (oldest, newest int64) {
	for _, c := range t.components { // a part without files has the time 0
		oldest, newest = min(oldest, c.clamp), max(newest, c.clamp)
	}
	for _, f := range t.files {
		if f.Type != format.TypeDir {
			oldest = min(oldest, f.MTime)
		}
	}
	return oldest, newest
}

// dirSize returns the size of a directory in a layer with the time mtime.
func dirSize(f *format.File, mtime int64) int64 {
	dir := *f
	dir.MTime, dir.MTimeNsec = mtime, 0
	return layer.EntrySize(&dir)
}
