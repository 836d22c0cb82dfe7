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

// layerLog is a file in the store that lists the layers that a run adds, until an image uses them.
// The store treats each added layer as complete, so only this list shows which layers a killed run
// left behind.
type layerLog struct {
	file *os.File
	ids  []string // from the bottom up
	left map[string][]string
}

// maxLog is the largest log that is read, in bytes: an ID and a newline for each layer.
const maxLog = maxLayers * 65

// wholeID matches a complete ID. The library would also accept an abbreviated ID.
var wholeID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// openLog starts a log in the graph root and reads the logs of killed runs.
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

// add adds a layer. It must be called before the layer is created.
func (l *layerLog) add(id string) error {
	l.ids = append(l.ids, id)
	_, err := fmt.Fprintln(l.file, id)
	return err
}

// close removes the layers of killed runs from the store, and also this run's layers if it failed.
// The store keeps layers that an image uses. Finally, close removes the logs.
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
		_ = os.Remove(path) // the remaining layers are used by an image, or the next run tries again
	}
	_ = os.Remove(l.file.Name()) // as above
	_ = l.file.Close()           // nothing uses its contents any more
}

// removeLayers removes all layers that can be removed, and then the layers below them. Layers of
// one run can be on top of layers of another.
func removeLayers(ids []string, remove func(id string) bool) {
	ids = slices.Clone(ids)
	slices.Reverse(ids)
	for removed := true; removed; {
		before := len(ids)
		ids = slices.DeleteFunc(ids, remove)
		removed = len(ids) < before
	}
}
