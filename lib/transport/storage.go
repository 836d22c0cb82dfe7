package transport

import (
	"context"

	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/storage"
)

var _ interface {
	image.Named
	image.Digested
} = (*storage.Image)(nil)

// Storage is the storage of podman, buildah and CRI-O.
var Storage = &image.Transport{
	Prefix: "containers-storage:", Form: "containers-storage:NAME", Purpose: "for the storage of podman and buildah",
	Syntax: image.RefOnly, ByConfig: true, OwnNames: true,
	CheckRef: func(ref string) error {
		_, _, err := storage.ParseRef(ref)
		return err
	},
	CheckName: func(ref string) error {
		_, name, err := storage.ParseRef(ref)
		if err != nil {
			return err
		}
		return oci.CheckTag(name)
	},
	Dir: func(ref string) string {
		store, _, err := storage.ParseRef(ref)
		if err != nil {
			return ""
		}
		return store.Dir()
	},
	Open: func(_ context.Context, src image.Location, _ image.Options) (image.Fetcher, error) {
		store, name, err := storage.ParseRef(src.Ref)
		if err != nil {
			return nil, err
		}
		return storage.Open(store, name)
	},
	Create: func(_ context.Context, to image.Location, opt image.CreateOptions) (oci.Destination, error) {
		store, name, err := storage.ParseRef(to.Ref)
		if err != nil {
			return nil, err
		}
		return storage.Create(store, append([]string{name}, opt.Also...), opt.Options, opt.Warn)
	},
}
