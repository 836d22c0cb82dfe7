// Package reuse tells what a client that has one image downloads for the next one,
// and why.
//
// A client has blobs, by their digests: what it downloads are the blobs of the new
// image that the old one does not have. Why is told by their files: those that differ
// are what the download is for, the others come along.
package reuse

import (
	"github.com/opencontainers/go-digest"

	"chunkah/lib/inspect"
)

// Step is what a client with one image downloads for the next one. Bytes are those of
// blobs, as they go over the network.
type Step struct {
	Old string `json:"old"`
	New string `json:"new"`
	// OldBytes are those of the old image, Layers and Bytes those of the new one, Download
	// of these what the client does not have.
	OldBytes       int64 `json:"old_bytes"`
	Layers         int   `json:"layers"`
	Bytes          int64 `json:"bytes"`
	DownloadLayers int   `json:"download_layers"`
	Download       int64 `json:"download_bytes"`
	// SameTar are downloads whose diffID the client has: they are compressed
	// otherwise, and that is all.
	SameTarLayers int   `json:"same_tar_layers"`
	SameTar       int64 `json:"same_tar_bytes"`
	// Parts say what the download consists of, by layer and component.
	Parts []Part `json:"parts,omitempty"`
	// Missing tells of each layer of the new image whether it is downloaded.
	Missing []bool `json:"-"`
}

// Part is what a downloaded layer has of one component. Its blob is shared out by the
// sizes of files; numbers that only a reading of the layers can tell may be absent.
type Part struct {
	Layer int `json:"layer"`
	// Component is empty for files of which nobody knows where they belong.
	Component string `json:"component"`
	State     State  `json:"state"`
	Download  *int64 `json:"download_bytes,omitempty"`
	// Changed is the part of Download that differs, Unchanged the part that comes
	// along; files are counted in the same way.
	Changed        *int64 `json:"changed_bytes,omitempty"`
	Unchanged      *int64 `json:"unchanged_bytes,omitempty"`
	ChangedFiles   int64  `json:"changed_files"`
	UnchangedFiles int64  `json:"unchanged_files"`
	// Reason is why what is unchanged comes along, Why the same in words.
	Reason Reason `json:"reason,omitempty"`
	Why    string `json:"why,omitempty"`
}

// State is what became of a component.
type State string

// The states of a component.
const (
	StateNew     State = "new"
	StateChanged State = "changed"
	StateSame    State = "same"
	StateUnknown State = "unknown" // nobody has looked
)

// Reason is why bytes that did not change are downloaded.
type Reason string

// The reasons, the one that counts first where there are several.
const (
	ReasonCompression Reason = "compression" // the tar is the same
	ReasonComponent   Reason = "component"   // other files of the component changed
	ReasonGrouping    Reason = "grouping"    // another set of components shares the layer
	ReasonNeighbour   Reason = "neighbour"   // another component of the layer changed
	ReasonTimes       Reason = "times"       // times of last change differ, and nothing else
	ReasonDirectories Reason = "directories" // what differs is the metadata of directories
	ReasonRemoved     Reason = "removed"     // files beside them are gone
	ReasonTar         Reason = "tar"         // the tar is written otherwise
	ReasonUnread      Reason = "unread"      // nobody has looked
)

// Compare tells what a client with old downloads for new. Where both were read, it
// compares files; else it has the fingerprints of components alone, if anything.
func Compare(old, new *inspect.Image) *Step {
	s := &Step{Old: old.Source, New: new.Source, Layers: len(new.Layers), Missing: make([]bool, len(new.Layers))}
	has, tars := map[digest.Digest]bool{}, map[digest.Digest]int{}
	for i, l := range old.Layers {
		s.OldBytes += l.Descriptor.Size
		has[l.Descriptor.Digest] = true
		tars[l.DiffID] = i
	}
	c := &comparison{old: old, new: new}
	for i, l := range new.Layers {
		if has[l.Descriptor.Digest] { // it is there, or has been downloaded by now
			s.Bytes += l.Descriptor.Size
			continue
		}
		has[l.Descriptor.Digest] = true
		s.Bytes += l.Descriptor.Size
		s.Missing[i] = true
		s.DownloadLayers++
		s.Download += l.Descriptor.Size
		_, same := tars[l.DiffID]
		if same {
			s.SameTarLayers++
			s.SameTar += l.Descriptor.Size
		}
		s.Parts = append(s.Parts, c.parts(i, same)...)
	}
	return s
}

// Series is a client that takes one image after the other.
type Series struct {
	Steps []*Step `json:"steps"`
	// Total and Mean are bytes of the downloads of all steps, and of one.
	Total int64 `json:"total_download_bytes"`
	Mean  int64 `json:"mean_download_bytes"`
}

// Add adds a step.
func (s *Series) Add(step *Step) {
	s.Steps = append(s.Steps, step)
	s.Total += step.Download
	s.Mean = s.Total / int64(len(s.Steps))
}
