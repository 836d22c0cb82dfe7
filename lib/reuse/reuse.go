// Package reuse computes what clients with the previous image download for an update, and why.
//
// Each kind of client has its own rule for which layers it downloads, and each client unpacks a
// layer again if any layer below it has changed. The files of both images show why a layer is
// downloaded: some files differ, and the others share a layer with them.
package reuse

import (
	"github.com/opencontainers/go-digest"

	"chunkah/lib/inspect"
	"chunkah/lib/patch"
)

// Step is the cost of an update from one image to the next. Numbers of bytes refer to blobs as
// transferred, unless a comment says otherwise.
type Step struct {
	Old string `json:"old"`
	New string `json:"new"`
	// Clients are the costs for all clients.
	Clients []Cost `json:"clients"`
	// OldBytes is the size of the old image. Layers and Bytes are the number of layers and the size
	// of the new image. Download is the part that the chosen client has to download.
	OldBytes       int64 `json:"old_bytes"`
	Layers         int   `json:"layers"`
	Bytes          int64 `json:"bytes"`
	DownloadLayers int   `json:"download_layers"`
	Download       int64 `json:"download_bytes"`
	// SameTarLayers is the number of downloaded blobs whose diffID the client already has, so that
	// only their compression differs. SameTar is their size.
	SameTarLayers int   `json:"same_tar_layers"`
	SameTar       int64 `json:"same_tar_bytes"`
	// Stale is the size, in tars, of the new image's files that its upper layers hide. It is absent
	// if there are no such files, or if the layers were not read.
	Stale int64 `json:"stale_bytes,omitempty"`
	// StaleLayers are the layers that contain these files.
	StaleLayers []patch.StaleLayer `json:"stale_layers,omitempty"`
	// Rewritten are layers of the old image that the new image does not keep although it shows some
	// of their files (--max-stale).
	Rewritten []Rewritten `json:"rewritten_layers,omitempty"`
	// Partial is the cost for a client that fetches chunks. It is nil if it was not requested.
	Partial *Partial `json:"partial,omitempty"`
	// Parts divide the download by layer and component.
	Parts []Part `json:"parts,omitempty"`
	// Missing reports, for each layer of the new image, whether the chosen client downloads it.
	Missing []bool `json:"-"`
}

// Rewritten is a layer of the old image that the new image replaces.
type Rewritten struct {
	Layer  int          `json:"layer"`
	Bytes  int64        `json:"bytes"` // of the blob
	Reason patch.Reason `json:"reason"`
}

// Part is one component's part of a downloaded layer. The bytes of the blob are divided among the
// components in proportion to the sizes of their files. Numbers that require reading the layers can
// be absent.
type Part struct {
	Layer int `json:"layer"`
	// Component is empty for files of unknown components.
	Component string `json:"component"`
	State     State  `json:"state"`
	Download  *int64 `json:"download_bytes,omitempty"`
	// Changed is the part of Download that differs. Unchanged is the rest. The numbers of files are
	// split in the same way.
	Changed        *int64 `json:"changed_bytes,omitempty"`
	Unchanged      *int64 `json:"unchanged_bytes,omitempty"`
	ChangedFiles   int64  `json:"changed_files"`
	UnchangedFiles int64  `json:"unchanged_files"`
	// Reason is the reason why Unchanged is downloaded. Why is the same reason in words.
	Reason Reason `json:"reason,omitempty"`
	Why    string `json:"why,omitempty"`
}

// State describes what happened to a component.
type State string

// The states of a component.
const (
	StateNew     State = "new"
	StateChanged State = "changed"
	StateSame    State = "same"
	StateUnknown State = "unknown" // not read
)

// Reason is the reason why unchanged bytes are downloaded.
type Reason string

// The reasons. If several apply, the first one is used.
const (
	ReasonChain       Reason = "chain"       // the blob is the same, but layers below it changed
	ReasonCompression Reason = "compression" // the tar is the same
	ReasonStale       Reason = "stale"       // its layer was rewritten, because stale bytes exceeded the limit
	ReasonRoom        Reason = "room"        // its layer was rewritten, because new files needed a layer
	ReasonRewritten   Reason = "rewritten"   // its layer was rewritten, for another reason
	ReasonComponent   Reason = "component"   // other files of the component changed
	ReasonGrouping    Reason = "grouping"    // another set of components shares the layer
	ReasonNeighbour   Reason = "neighbour"   // another component of the layer changed
	ReasonTimes       Reason = "times"       // only mtimes differ
	ReasonDirectories Reason = "directories" // only metadata of directories differs
	ReasonRemoved     Reason = "removed"     // files of the same layer were removed
	ReasonTar         Reason = "tar"         // the tar is written differently
	ReasonUnread      Reason = "unread"      // not read
)

// Compare returns the cost of an update from old to new: totals for all clients, and the downloads
// of the chosen client by layer and component. An empty client stands for podman and containerd,
// which download the same layers. If both images were read, files are compared. Otherwise, only the
// fingerprints of components are compared, if the images contain any.
func Compare(old, new *inspect.Image, chosen Client) *Step {
	c := &comparison{old: old, new: new}
	c.findRewritten()
	s := &Step{Old: old.Source, New: new.Source, Layers: len(new.Layers), Missing: c.missing(chosen), Clients: Costs(old, new)}
	for i, l := range old.Layers {
		if reason, rewritten := c.rewritten[i]; rewritten {
			s.Rewritten = append(s.Rewritten, Rewritten{i, l.Descriptor.Size, reason})
		}
	}
	blobs, tars := map[digest.Digest]bool{}, map[digest.Digest]bool{}
	for _, l := range old.Layers {
		s.OldBytes += l.Descriptor.Size
		blobs[l.Descriptor.Digest], tars[l.DiffID] = true, true
	}
	for i, l := range new.Layers {
		s.Bytes += l.Descriptor.Size
		if l.Stale > 0 {
			s.Stale += l.Stale
			s.StaleLayers = append(s.StaleLayers, patch.StaleLayer{Layer: i, Stale: l.Stale, HiddenBy: l.HiddenBy})
		}
		if !s.Missing[i] {
			continue
		}
		s.DownloadLayers++
		s.Download += l.Descriptor.Size
		var same Reason // why the layer is downloaded although its tar is the same
		switch {
		case blobs[l.Descriptor.Digest]:
			same = ReasonChain
		case tars[l.DiffID]:
			same = ReasonCompression
			s.SameTarLayers++
			s.SameTar += l.Descriptor.Size
		}
		s.Parts = append(s.Parts, c.parts(i, same)...)
	}
	return s
}

// Cost returns the cost for a client.
func (s *Step) Cost(client Client) Cost { return costOf(s.Clients, client) }

// Series is the cost for a client that downloads one image after another.
type Series struct {
	Steps []*Step `json:"steps"`
	// Total and Mean are the bytes that the chosen client downloads, in all steps and per step.
	Total int64 `json:"total_download_bytes"`
	Mean  int64 `json:"mean_download_bytes"`
	// Clients are the costs of all steps together.
	Clients []Cost `json:"clients"`
}

// Add adds a step.
func (s *Series) Add(step *Step) {
	s.Steps = append(s.Steps, step)
	s.Total += step.Download
	s.Mean = s.Total / int64(len(s.Steps))
	for i, cost := range step.Clients {
		if len(s.Steps) == 1 {
			s.Clients = append(s.Clients, cost)
		} else {
			s.Clients[i] = s.Clients[i].plus(cost)
		}
	}
}

// Cost returns the cost for a client in all steps.
func (s *Series) Cost(client Client) Cost { return costOf(s.Clients, client) }
