//go:build !cgo || exclude_graphdriver_btrfs

package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	containers "go.podman.io/storage"

	"chunkah/lib/temp"
)

// layerLog is a file in the graph root that lists the layers of a run that no image uses yet. The
// store treats each added layer as complete, so only these lists show which layers a killed or
// failed run left behind, and which layers a parallel run still needs. Some methods require that
// the caller holds the lock on the graph root; their comments mention the lock.
type layerLog struct {
	file *os.File
	ids  []string // layers that this run added, from the bottom up
}

const (
	// usedMark begins the line of a layer that the run found in the store.
	usedMark = "="
	// mountedLine is the line of a run that mounted the store's directory.
	mountedLine = "mounted"
	// maxLog is the largest log that is read, in bytes: two lines for each layer.
	maxLog = maxLayers * (65 + 66)
)

// wholeID matches a complete ID. The library would also accept an abbreviated ID.
var wholeID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// openLog starts a log in the graph root. It needs the lock.
func openLog(root string) (*layerLog, error) {
	f, err := temp.Create(root, 0o600)
	if err != nil {
		return nil, err
	}
	return &layerLog{file: f}, nil
}

// use records that the run needs a layer. It needs the lock, which must be kept until the run has
// looked for the layer in the store. Otherwise another run could remove the layer in between.
func (l *layerLog) use(id string) error { return l.line(usedMark + id) }

// add records a layer that the run adds. It must be called before the layer is created.
func (l *layerLog) add(id string) error {
	l.ids = append(l.ids, id)
	return l.line(id)
}

func (l *layerLog) line(text string) error {
	_, err := fmt.Fprintln(l.file, text)
	return err
}

// otherLogs are the logs of other runs in the same graph root.
type otherLogs struct {
	live    map[string]bool     // layers that running processes need
	running int                 // number of these processes
	left    map[string][]string // layers that ended processes added, by the path of the log
	mounted bool                // one of all these processes mounted the store's directory
}

// others reads the logs of other runs. It needs the lock.
func (l *layerLog) others() (*otherLogs, error) {
	o := &otherLogs{live: map[string]bool{}, left: map[string][]string{}}
	root := filepath.Dir(l.file.Name())
	left, err := temp.Left(root)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		if !temp.Is(e.Name()) || path == l.file.Name() {
			continue
		}
		data, err := readFile(path, maxLog)
		if err != nil {
			continue // not a log, or its process has just ended
		}
		lines := strings.Fields(string(data))
		o.mounted = o.mounted || slices.Contains(lines, mountedLine)
		if slices.Contains(left, path) {
			o.left[path] = slices.DeleteFunc(lines, func(id string) bool { return !wholeID.MatchString(id) })
			continue
		}
		o.running++
		for _, line := range lines {
			o.live[strings.TrimPrefix(line, usedMark)] = true
		}
	}
	return o, nil
}

// close removes the layers of ended runs from the store, and also this run's layers if it failed.
// The store keeps layers that an image uses, and close keeps layers that a running process needs.
// Finally, close removes each log whose layers no running process needs. close needs the lock.
func (l *layerLog) close(store containers.Store, others *otherLogs, failed bool) {
	ids := []string{}
	if failed {
		ids = slices.Clone(l.ids)
	}
	for _, more := range others.left {
		ids = append(ids, more...)
	}
	needed := func(id string) bool { return others.live[id] }
	removeLayers(slices.DeleteFunc(ids, needed), func(id string) bool { return store.DeleteLayer(id) == nil })
	for path, ids := range others.left {
		if !slices.ContainsFunc(ids, needed) {
			_ = os.Remove(path) // the remaining layers are used by an image, or the next run tries again
		}
	}
	if !failed || !slices.ContainsFunc(l.ids, needed) {
		_ = os.Remove(l.file.Name()) // as above
	}
	l.leave()
}

// leave closes the log and keeps the file for the next run.
func (l *layerLog) leave() { _ = l.file.Close() } // its contents are no longer needed

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
