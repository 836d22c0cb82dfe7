package cli

import (
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/transport"
)

// A manifest's digest identifies an image only in a source that stores manifests.
func TestPlatformSource(t *testing.T) {
	const digest = "sha256:00000000000000000000000000000000000000000000000000000000000000aa"
	e := image.Entry{Manifest: oci.Document{Descriptor: v1.Descriptor{Digest: digest}}}
	for name, want := range map[string]string{
		"docker-archive:app.tar:app:1":                  "docker-archive:app.tar:app:1",
		"docker-daemon:app:1":                           "docker-daemon:app:1",
		"containers-storage:app:1":                      "containers-storage:app:1",
		"containers-storage:[vfs@/data+/run]test/app:1": "containers-storage:[vfs@/data+/run]test/app:1",
		"docker://registry.example/app:1":               "docker://registry.example/app@" + digest,
		"oci:/layout:app:1":                             "oci:/layout:@" + digest,
	} {
		src, err := transport.ParseSource(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := platformSource(src, e); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
