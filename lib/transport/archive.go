package transport

import (
	"context"
	"fmt"
	"os"

	"chunkah/lib/image"
	"chunkah/lib/interrupt"
	"chunkah/lib/oci"
)

// Archive is an OCI archive: a tar of a layout.
var Archive = &image.Transport{
	Prefix: "oci-archive:", Form: "oci-archive:FILE[:REF]", Purpose: "for an archive",
	Syntax: image.PathRef, File: true,
	ManyNames: "podman load refuses an OCI archive with several names: load one with podman pull oci-archive:PATH:NAME, " +
		"or write docker-archive:PATH, which podman load and docker load read with all names",
	CheckRef: oci.CheckRefName,
	Open:     image.OpenArchive,
	Create: func(ctx context.Context, to image.Location, opt image.CreateOptions) (oci.Destination, error) {
		return createArchive(ctx, to, opt)
	},
}

// DockerArchive is an archive for docker save and docker load.
var DockerArchive = &image.Transport{
	Prefix: "docker-archive:", Form: "docker-archive:FILE[:REF]", Purpose: "for an archive that docker load reads",
	Syntax: image.PathRef, File: true, DockerFormat: true, ByConfig: true,
	CheckRef: oci.CheckTag,
	Open:     image.OpenDockerArchive,
	Create: func(ctx context.Context, to image.Location, opt image.CreateOptions) (oci.Destination, error) {
		a, err := createArchive(ctx, to, opt)
		if err != nil {
			return nil, err
		}
		return oci.NewDockerArchive(a), nil
	},
}

// createArchive writes to standard output, a named pipe or a file. A pipe can have a slow reader,
// or no reader yet. A cancelled command must not wait for the reader, so the pipe is closed only
// when the process ends. CreateArchive refuses a pipe if the image must be readable.
func createArchive(ctx context.Context, to image.Location, opt image.CreateOptions) (*oci.Archive, error) {
	if to.IsStdout() {
		return oci.NewArchive(opt.Stdout), nil
	}
	info, err := os.Stat(to.Path)
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 || opt.Readable {
		return oci.CreateArchive(to.Path, opt.Options)
	}
	f, err := interrupt.Open(ctx, to.Path, func(path string) (*os.File, error) { return os.OpenFile(path, os.O_WRONLY, 0) })
	if err != nil {
		return nil, fmt.Errorf("creating archive %q: %w", to.Path, err)
	}
	return oci.NewArchive(interrupt.NewStream(ctx, f)), nil
}
