package tests

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/clients"
)

// These are the limits for an update of curl in a root of 107 source packages. In addition to curl,
// the package database changes. Its size is 6.5 MB.
const (
	curlDownload = 6_000_000  // bytes that docker downloads with gzip
	curlGrowth   = 15_000_000 // bytes by which a client's storage grows
)

// With patch layers, an update of one package costs clients that store layers by chain little more
// than the package and the database. The root contains the packages of a Fedora container. The
// database that lists them is test data in a Go module. The paths and sizes of the files are real,
// but their contents are invented.
func TestClientsPullAnUpdatedPackage(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "skopeo", "docker-registry")
	dir := t.TempDir()
	module := strings.TrimSpace(clients.Run(t, exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/knqyf263/go-rpmdb")))
	clients.Run(t, exec.Command("go", "run", "-trimpath", "chunkah/scripts/demo", "-full",
		filepath.Join(module, "pkg/testdata/fedora35/rpmdb.sqlite"), dir, "curl,libcurl"))
	registry := clients.NewCounter(t, clients.NewRegistry(t, clients.RegistryOptions{}))
	name, layouts := registry.Host+"/fedora", []string{"oci:" + t.TempDir() + ":1", "oci:" + t.TempDir() + ":2"}
	for i, root := range []string{"root", "updated"} {
		cmd := exec.Command("chunkah", "build", "-q", "--rootfs", filepath.Join(dir, root), "--compress", "gzip", "-o", layouts[i])
		if i > 0 {
			cmd.Args = append(cmd.Args, "--max-stale", "5%", "--previous", layouts[0])
		}
		clients.Run(t, cmd)
		push(t, layouts[i], fmt.Sprintf("%s:%d", name, i+1))
	}
	digests := blobsOf(t, layouts[1])
	for _, client := range pullers {
		t.Run(client.name, func(t *testing.T) {
			did, want := pullUpdate(t, client.start(t), registry, name, digests), predict(t, client.name, layouts...)
			expectDownload(t, did, want)
			t.Logf("fetched %d bytes in %d layers, unpacks %d, its storage grew by %d", did.bytes, did.layers, want.Unpack, did.stored)
			if did.bytes > curlDownload || did.stored > curlGrowth {
				t.Errorf("fetched %d bytes, and its storage grew by %d: want at most %d and %d", did.bytes, did.stored, curlDownload, curlGrowth)
			}
		})
	}
}
