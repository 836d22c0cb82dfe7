package tests

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/tests/clients"
	"chunkah/tests/mkimage"
)

// A puller is a client with its own storage.
type puller interface {
	Pull(ref string)
	Store() string // directory with the unpacked layers
}

// pullers lists the clients with their names in chunkah reuse.
var pullers = []struct {
	name  string
	start func(testing.TB) puller
}{
	{"docker", func(t testing.TB) puller { return clients.NewDocker(t) }},
	{"podman", func(t testing.TB) puller { return clients.NewEngine(t) }},
	{"containerd", func(t testing.TB) puller { return clients.NewContainerd(t) }},
}

// These are the numbers of files per layer and of bytes per file. They are large, so that the
// overhead of the tar and of the file system is small in comparison.
const (
	pulledFiles = 4
	pulledBytes = 300_000
)

// pulledLayer makes a layer with a directory of incompressible files.
func pulledLayer(t *testing.T, name string, random *rand.Rand) mkimage.Layer {
	entries := []mkimage.Entry{mkimage.Dir(name + "/")}
	for i := range pulledFiles {
		data := make([]byte, pulledBytes)
		random.Read(data)
		entries = append(entries, mkimage.File(fmt.Sprintf("%s/%d", name, i), string(data)))
	}
	return mkimage.Layer{Packing: mkimage.Gzip, Tar: mkimage.Tar(t, entries...)}
}

// updates lists images for clients that already have the layers a to e. A capital letter is a layer
// with other files, and z is layer b with another compression.
var updates = []struct {
	name, layers string
	// config is set if the config changes although the tars are the same.
	config bool
}{
	{"the middle layer changed", "abCde", false},
	{"a layer on top", "abcdeF", false},
	{"a layer less", "abde", false},
	{"the two lowest layers", "ab", false},
	{"another order", "abdce", false},
	{"a layer twice", "abCdde", false},
	{"a layer above and below", "abCbde", false},
	{"compressed otherwise", "azcde", false},
	{"compressed otherwise, another config", "azcde", true},
}

// chunkah reuse predicts what real clients download and store. The images are made by hand, so that
// the test does not depend on the layers that chunkah makes.
func TestClientsPullAsPredicted(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "skopeo", "docker-registry")
	registry := clients.NewCounter(t, clients.NewRegistry(t, clients.RegistryOptions{}))
	for i, client := range pullers {
		t.Run(client.name, func(t *testing.T) {
			p := client.start(t)
			for j, u := range updates {
				t.Run(u.name, func(t *testing.T) {
					// No two cases share a layer.
					random := rand.New(rand.NewSource(int64(i*len(updates) + j)))
					layers := map[rune]mkimage.Layer{}
					for _, c := range "abcdeCF" {
						layers[c] = pulledLayer(t, string(c), random)
					}
					otherwise := layers['b']
					otherwise.Level = gzip.BestSpeed
					layers['z'] = otherwise
					of := func(names string) (list []mkimage.Layer) {
						for _, c := range names {
							list = append(list, layers[c])
						}
						return list
					}
					next := of(u.layers)
					if u.config {
						next[0].History = v1.History{CreatedBy: "somebody else"}
					}
					name := fmt.Sprintf("%s/%s%d", registry.Host, client.name, j)
					var layouts []string
					for i, list := range [][]mkimage.Layer{of("abcde"), next} {
						layouts = append(layouts, "oci:"+(&mkimage.Image{Layers: list}).Layout(t))
						push(t, layouts[i], fmt.Sprintf("%s:%d", name, i+1))
					}
					var digests []string
					for _, l := range next {
						digests = append(digests, digest.FromBytes(l.Blob(t)).String())
					}
					did, want := pullUpdate(t, p, registry, name, digests), predict(t, client.name, layouts...)
					// podman records the diffID of each blob that it has unpacked, even for other
					// stores. It downloads such a blob only if the layer is not in its store.
					if client.name != "podman" || !strings.Contains(u.layers, "z") || did.bytes > 0 {
						expectDownload(t, did, want)
					}
					expectGrowth(t, did, want)
				})
			}
		})
	}
}

// pulled is the cost of an update for a client.
type pulled struct {
	bytes  int64
	layers int
	stored int64 // growth of the client's storage, in bytes
}

// blobsOf returns the digests of an image's blobs, lowest layer first.
func blobsOf(t *testing.T, image string) (digests []string) {
	t.Helper()
	var list struct{ Layers []struct{ Digest string } }
	if err := json.Unmarshal([]byte(clients.Run(t, exec.Command("chunkah", "inspect", "--json", image))), &list); err != nil {
		t.Fatal(err)
	}
	for _, l := range list.Layers {
		digests = append(digests, l.Digest)
	}
	return digests
}

// pullUpdate pulls name:1 and then name:2, which consists of these layers.
func pullUpdate(t *testing.T, p puller, registry *clients.Counter, name string, digests []string) (did pulled) {
	t.Helper()
	p.Pull(name + ":1")
	registry.TakeBlobs()
	before := diskUse(t, p.Store())
	p.Pull(name + ":2")
	did.stored = diskUse(t, p.Store()) - before
	blobs := registry.TakeBlobs()
	for _, d := range digests {
		if n, sent := blobs[d]; sent {
			did.bytes, did.layers = did.bytes+n, did.layers+1
			delete(blobs, d) // the image can contain the blob twice
		}
	}
	return did
}

// expectDownload compares a client's download with chunkah reuse.
func expectDownload(t *testing.T, did pulled, want prediction) {
	t.Helper()
	if did.bytes != want.Download || did.layers != want.DownloadLayers {
		t.Errorf("%s fetched %d bytes in %d layers, and reuse says %d in %d", want.Client, did.bytes, did.layers, want.Download, want.DownloadLayers)
	}
}

// expectGrowth compares the growth of a client's storage with the unpacked size from chunkah reuse,
// for layers made by pulledLayer.
func expectGrowth(t *testing.T, did pulled, want prediction) {
	t.Helper()
	// A tar has a header of 512 bytes per entry, pads the last block of a file, and ends with two
	// blocks. A file system pads to a larger block, and clients create a few directories and small
	// files per layer.
	const (
		entries   = 1 + pulledFiles // per layer
		tarBlock  = 512
		block     = 4096
		ownBlocks = 8 // per layer; containerd needs 4, docker 7 and podman 8
	)
	n := int64(want.UnpackLayers)
	least := want.Unpack - n*(2*entries+2)*tarBlock
	most := want.Unpack + n*(entries+ownBlocks)*block
	if did.stored < least || did.stored > most {
		t.Errorf("the storage of %s grew by %d bytes, and reuse says that it unpacks %d in %d layers: want %d to %d",
			want.Client, did.stored, want.Unpack, n, least, most)
	}
}

// prediction is the result of chunkah reuse for a client.
type prediction struct {
	Client         string
	Download       int64 `json:"download_bytes"`
	DownloadLayers int   `json:"download_layers"`
	Unpack         int64 `json:"unpack_bytes"`
	UnpackLayers   int   `json:"unpack_layers"`
}

// predict runs chunkah reuse for a client's update.
func predict(t *testing.T, client string, images ...string) prediction {
	t.Helper()
	out := clients.Run(t, exec.Command("chunkah", append([]string{"reuse", "--json", "--client", client}, images...)...))
	var answer struct {
		Steps []struct {
			Download int64 `json:"download_bytes"`
			Clients  []prediction
		}
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	for _, c := range answer.Steps[0].Clients {
		if c.Client == client {
			if c.Download != answer.Steps[0].Download {
				t.Errorf("the step downloads %d bytes, and the client %d", answer.Steps[0].Download, c.Download)
			}
			return c
		}
	}
	t.Fatalf("reuse says nothing of %s: %s", client, out)
	return prediction{}
}

// push copies an image of a layout to a registry unchanged.
func push(t *testing.T, layout, ref string) {
	t.Helper()
	clients.Run(t, exec.Command("skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false", layout, "docker://"+ref))
}

// The predictions are also correct for a Debian image with many layers and an updated package.
func TestClientsPullADebianAsPredicted(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "skopeo", "docker-registry")
	registry := clients.NewCounter(t, clients.NewRegistry(t, clients.RegistryOptions{}))
	root := copyRoot(t, debianRoot(t))
	name, layouts := registry.Host+"/debian", []string{"oci:" + t.TempDir() + ":1", "oci:" + t.TempDir() + ":2"}
	cache := t.TempDir()
	for i, layout := range layouts {
		cmd := exec.Command("chunkah", "build", "-q", "--rootfs", root, "--skip-special-files", "--max", "64", "--compress", "gzip", "--level", "1", "--cache", cache, "-o", layout)
		if i > 0 {
			cmd.Args = append(cmd.Args, "--previous", layouts[0])
		}
		clients.Run(t, cmd)
		push(t, layout, fmt.Sprintf("%s:%d", name, i+1))
		appendTo(t, root+"/usr/bin/bash", "updated")
		appendTo(t, root+"/var/lib/dpkg/status", "\n")
	}
	digests := blobsOf(t, layouts[1])
	for _, client := range pullers {
		t.Run(client.name, func(t *testing.T) {
			did, want := pullUpdate(t, client.start(t), registry, name, digests), predict(t, client.name, layouts...)
			expectDownload(t, did, want)
			t.Logf("fetched %d bytes, unpacks %d, its storage grew by %d", did.bytes, want.Unpack, did.stored)
		})
	}
}

// appendTo appends to a file.
func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// diskUse returns the disk space of a directory in bytes.
func diskUse(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st := info.Sys().(*syscall.Stat_t); !seen[st.Ino] {
			seen[st.Ino] = true
			bytes += st.Blocks * 512 // the unit of st_blocks
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
