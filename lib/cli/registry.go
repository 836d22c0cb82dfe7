package cli

import (
	"bytes"
	"context"
	"io"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/registry"
)

// imageFlags are in every command that opens images.
type imageFlags struct {
	Spool    string `long:"spool" value-name:"DIR" unquote:"false" description:"where layers wait that are decompressed, or compressed for a registry, in files without a name (default: $TMPDIR, else /var/tmp, /tmp or beside the output)" section:"Images" brief:"where layers wait (default: $TMPDIR, else /var/tmp)"`
	Insecure bool   `long:"insecure" description:"speak to registries without TLS, or with a certificate that nobody vouches for" brief:"registries without TLS, or with any certificate"`

	RegistryTimeout string `long:"registry-timeout" env:"CHUNKAH_REGISTRY_TIMEOUT" value-name:"TIME" unquote:"false" description:"end a request to a registry that makes no progress for TIME, such as 90s or 5m (default: 60s)" brief:"without progress, such as 90s or 5m (default: 60s)"`
}

func (f *imageFlags) imageOptions(env *Env) image.Options {
	return image.Options{
		Spool: f.Spool,
		Registry: func(text string) (image.Fetcher, error) {
			ref, err := registry.ParseRef(text)
			if err != nil {
				return nil, err
			}
			repo, err := f.openRegistry(env, ref)
			return remote{repo}, err
		},
	}
}

// openRegistry prepares to speak to the registry of a reference.
func (f *imageFlags) openRegistry(env *Env, ref registry.Ref) (*registry.Repository, error) {
	timeout, err := f.registryTimeout()
	if err != nil {
		return nil, err
	}
	return registry.Open(ref, registry.Options{
		Insecure: f.Insecure, UserAgent: "chunkah/" + version(), Timeout: timeout,
		Warn: func(text string) { env.warn("%s", text) },
	})
}

// registryTimeout reads the flag; 0 is the default.
func (f *imageFlags) registryTimeout() (time.Duration, error) {
	if f.RegistryTimeout == "" {
		return 0, nil
	}
	timeout, err := time.ParseDuration(f.RegistryTimeout)
	if err != nil || timeout <= 0 {
		return 0, usagef("registry timeout %q (--registry-timeout or CHUNKAH_REGISTRY_TIMEOUT) is not a time such as 90s or 5m", f.RegistryTimeout)
	}
	return timeout, nil
}

// push begins to push to a reference.
func (f *imageFlags) push(ctx context.Context, env *Env, text string) (*registry.Push, error) {
	ref, err := registry.ParseRef(text)
	if err != nil {
		return nil, &usageError{err}
	}
	repo, err := f.openRegistry(env, ref)
	if err != nil {
		return nil, err
	}
	return repo.Push(ctx)
}

// remote is a repository as package image asks for one: by whole references, and
// with manifests among the blobs.
type remote struct{ *registry.Repository }

// Manifest implements image.Fetcher.
func (r remote) Manifest(ctx context.Context, text string) (data []byte, mediaType string, err error) {
	ref, err := registry.ParseRef(text)
	if err != nil {
		return nil, "", err
	}
	return r.Repository.Manifest(ctx, ref.Identifier())
}

// Blob implements image.Fetcher.
func (r remote) Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	if !registry.IsManifest(d.MediaType) {
		return r.Repository.Blob(ctx, d)
	}
	data, _, err := r.Repository.Manifest(ctx, d.Digest.String())
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}
