package transport

import (
	"context"

	"chunkah/lib/image"
	"chunkah/lib/storage"
)

// Storage is the storage of podman, buildah and CRI-O.
var Storage = &image.Transport{
	Prefix: "containers-storage:", Form: "containers-storage:NAME",
	Syntax: image.RefOnly, DockerFormat: true,
	CheckRef: func(ref string) error {
		_, _, err := storage.ParseRef(ref)
		return err
	},
	Open: func(_ context.Context, src image.Source, _ image.Options) (image.Fetcher, error) {
		store, name, err := storage.ParseRef(src.Ref)
		if err != nil {
			return nil, err
		}
		return storage.Open(store, name)
	},
}
