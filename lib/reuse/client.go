package reuse

import (
	"github.com/opencontainers/go-digest"

	"chunkah/lib/inspect"
)

// Client is a kind of container client. docs/clients.md describes what each client downloads, and
// how that was measured.
type Client string

// The clients.
const (
	Docker     Client = "docker"     // with a graph driver, such as overlay2
	Podman     Client = "podman"     // and all other clients that use containers-storage
	Containerd Client = "containerd" // and docker with containerd's image store
)

// Clients lists all clients.
var Clients = []Client{Docker, Podman, Containerd}

// byChain reports whether a client downloads an unchanged layer again if a layer below it changed.
// All clients unpack it again.
func (c Client) byChain() bool { return c == Docker }

// Cost is the cost of an update for one client.
type Cost struct {
	Client         Client `json:"client"`
	DownloadLayers int    `json:"download_layers"`
	Download       int64  `json:"download_bytes"` // sum of the blob sizes
	UnpackLayers   int    `json:"unpack_layers"`
	// Unpack is the size of the tars that are unpacked and stored. It is nil if a compressed layer
	// was not read, because the size is then unknown.
	Unpack *int64 `json:"unpack_bytes,omitempty"`
	// UnpackBlobs is the blob size of the same layers.
	UnpackBlobs int64 `json:"unpack_blob_bytes"`
}

// Costs returns the cost of an update from old to new for each client. It needs only the digest of
// the config, and the digests and sizes of the layers.
func Costs(old, new *inspect.Image) []Cost {
	c := &comparison{old: old, new: new}
	costs := make([]Cost, 0, len(Clients))
	for _, client := range Clients {
		costs = append(costs, c.cost(client))
	}
	return costs
}

// costOf returns the cost for a client.
func costOf(costs []Cost, client Client) Cost {
	for _, cost := range costs {
		if cost.Client == client {
			return cost
		}
	}
	return Cost{Client: client}
}

// plus adds the cost of another update for the same client.
func (c Cost) plus(more Cost) Cost {
	c.DownloadLayers += more.DownloadLayers
	c.Download += more.Download
	c.UnpackLayers += more.UnpackLayers
	c.UnpackBlobs += more.UnpackBlobs
	if c.Unpack != nil && more.Unpack != nil {
		c.Unpack = new(*c.Unpack + *more.Unpack)
	} else {
		c.Unpack = nil
	}
	return c
}

// cost adds up what a client downloads and unpacks.
func (c *comparison) cost(client Client) Cost {
	cost := Cost{Client: client}
	for i, missing := range c.missing(client) {
		if missing {
			cost.DownloadLayers++
			cost.Download += c.new.Layers[i].Descriptor.Size
		}
	}
	bytes, known := int64(0), true
	for _, l := range c.new.Layers[c.commonChain():] {
		cost.UnpackLayers++
		cost.UnpackBlobs += l.Descriptor.Size
		bytes += l.Bytes
		known = known && l.Bytes != inspect.Unknown
	}
	if known {
		cost.Unpack = &bytes
	}
	return cost
}

// commonChain counts the lowest layers that have the same tars in both images.
func (c *comparison) commonChain() int {
	n := 0
	for n < len(c.old.Layers) && n < len(c.new.Layers) && c.old.Layers[n].DiffID == c.new.Layers[n].DiffID {
		n++
	}
	return n
}

// missing reports which layers of the new image a client downloads. A blob that occurs twice in the
// image is downloaded once.
func (c *comparison) missing(client Client) []bool {
	has := map[digest.Digest]bool{}
	for _, l := range c.old.Layers {
		has[l.Descriptor.Digest] = true
	}
	kept := 0 // number of lowest layers that the client already has
	if client.byChain() {
		// docker identifies an image by its config, and a layer by its chain. It finds a diffID by
		// the digest of a blob that it has downloaded before. So an unknown digest ends the chain
		// too, and all blobs above it are downloaded, even if docker already has them.
		for most := c.commonChain(); kept < most && has[c.new.Layers[kept].Descriptor.Digest]; {
			kept++
		}
		if c.old.Config.Digest == c.new.Config.Digest {
			kept = len(c.new.Layers)
		}
		clear(has)
	}
	list := make([]bool, len(c.new.Layers))
	for i := kept; i < len(list); i++ {
		d := c.new.Layers[i].Descriptor.Digest
		list[i] = !has[d]
		has[d] = true
	}
	return list
}
