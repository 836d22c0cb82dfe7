//go:build cgo && !exclude_graphdriver_btrfs

package storage

import (
	"errors"

	"chunkah/lib/oci"
)

// With cgo, go.podman.io/storage needs the btrfs headers. A cgo build does not include the library,
// so it needs no headers but cannot write images into a storage.

// Create reports that this build cannot write images.
func Create(Store, []string, oci.Options, func(string)) (oci.Destination, error) {
	return nil, errors.New("this chunkah was built with cgo, and cannot write containers-storage: build it with make, or with CGO_ENABLED=0")
}

// RunChild returns false: only the library starts children.
func RunChild() bool { return false }
