//go:build !cgo || exclude_graphdriver_btrfs

package storage

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	containers "go.podman.io/storage"

	"chunkah/lib/temp"
)

// layerLog lists the layers that a run adds to a store, in a file there, until an image has them. A
// layer is complete as soon as the store has it, so only this list shows that a killed run left it
// behind.
type layerLog struct {
	file *os.File
	ids  []string // from the bottom up
	left map[string][]string
}

// maxLog bounds a log that is read, in bytes: an ID has 64.
const maxLog = maxLayers * 65

// wholeID matches a complete ID. The library would complete the beginning of one.
var wholeID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// openLog begins a log in the graph root, and reads those of killed runs.
func openLog(root string) (*layerLog, error) {
	l := &layerLog{left: map[string][]string{}}
	left, err := temp.Left(root)
	if err != nil {
		return nil, err
	}
	for _, path := range left {
		if data, err := readFile(path, maxLog); err == nil {
			l.left[path] = slices.DeleteFunc(strings.Fields(string(data)), func(id string) bool { return !wholeID.MatchString(id) })
		}
	}
	l.file, err = temp.Create(root, 0o600)
	return l, err
}

// add adds a layer before it is created.
func (l *layerLog) add(id string) error {
	l.ids = append(l.ids, id)
	_, err := fmt.Fprintln(l.file, id)
	return err
}

// close removes the layers of killed runs from the store, and those of this run if it has failed.
// The store keeps layers that an image uses. Finally, it removes the logs.
func (l *layerLog) close(store containers.Store, failed bool) {
	ids := []string{}
	if failed {
		ids = slices.Clone(l.ids)
	}
	for _, more := range l.left {
		ids = append(ids, more...)
	}
	removeLayers(ids, func(id string) bool { return store.DeleteLayer(id) == nil })
	for path := range l.left {
		_ = os.Remove(path) // an image uses the remaining layers, or the next run tries again
	}
	_ = os.Remove(l.file.Name()) // as above
	_ = l.file.Close()           // nothing depends on its contents any more
}

// removeLayers removes the layers that it can, and then those below them. Layers of one run can be
// on top of those of another.
func removeLayers(ids []string, remove func(id string) bool) {
	ids = slices.Clone(ids)
	slices.Reverse(ids)
	for removed := true; removed; {
		before := len(ids)
		ids = slices.DeleteFunc(ids, remove)
		removed = len(ids) < before
	}
}
