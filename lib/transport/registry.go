package transport

import (
	"context"
	"errors"
	"fmt"

	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/registries"
	"chunkah/lib/registry"
)

// Registry is a repository in a registry.
var Registry = &image.Transport{
	Prefix: "docker://", Form: "docker://REF", Purpose: "for a registry",
	Syntax: image.RefOnly, Network: true, OwnNames: true,
	CheckRef: func(text string) error {
		_, err := registry.ParseRef(text)
		return err
	},
	Tag: tagOf,
	Open: func(_ context.Context, src image.Location, opt image.Options) (image.Fetcher, error) {
		return openMirrors(src.Ref, opt)
	},
	Create: func(ctx context.Context, to image.Location, opt image.CreateOptions) (oci.Destination, error) {
		repo, err := Repository(to.Ref, opt.Registry)
		if err != nil {
			return nil, err
		}
		push, err := repo.Push(ctx)
		if err != nil {
			return nil, err
		}
		push.Readable, push.Also, push.Convert = opt.Readable, opt.Also, opt.Convert
		return push, nil
	},
}

// Repository opens the repository that an image is pushed to.
func Repository(text string, options func() (registry.Options, error)) (*registry.Repository, error) {
	ref, config, opt, err := configure(text, options)
	if err != nil {
		return nil, err
	}
	to, err := config.Push(ref)
	if err != nil {
		return nil, err
	}
	opt.Insecure = opt.Insecure || to.Insecure
	return registry.Open(to.Ref, opt)
}

// configure parses a reference and returns the settings from registries.conf and the options.
func configure(text string, options func() (registry.Options, error)) (registry.Ref, *registries.Config, registry.Options, error) {
	ref, err := registry.ParseRef(text)
	if err != nil {
		return ref, nil, registry.Options{}, err
	}
	if options == nil { // sources in a stream may open connections only with options
		return ref, nil, registry.Options{}, errors.New("no registry client is set")
	}
	opt, err := options()
	if err != nil {
		return ref, nil, opt, err
	}
	config, err := registries.Read()
	if err == nil {
		err = config.CheckShort(text)
		opt.Helpers = config.Helpers()
	}
	return ref, config, opt, err
}

// tagOf returns the tag in another name of an image. Both names must be in the same repository.
func tagOf(image, name string) (string, error) {
	at, err := registry.ParseRef(image)
	if err != nil {
		return "", err
	}
	ref, err := registry.ParseRef(name)
	if err != nil || ref.Registry != at.Registry || ref.Name != at.Name || ref.Digest != "" {
		return "", fmt.Errorf("-o docker://%s and --tag %q are not in the same repository: use --tag %s/%s:TAG", image, name, at.Registry, at.Name)
	}
	return ref.Tag, nil
}
