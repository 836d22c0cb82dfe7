package oci

// These are Docker's media types (distribution, image manifest version 2, schema 2).
const (
	MediaTypeDockerManifest  = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerIndex     = "application/vnd.docker.distribution.manifest.list.v2+json"
	MediaTypeDockerSchema1   = "application/vnd.docker.distribution.manifest.v1"
	MediaTypeDockerConfig    = "application/vnd.docker.container.image.v1+json"
	MediaTypeDockerLayer     = "application/vnd.docker.image.rootfs.diff.tar"
	MediaTypeDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	MediaTypeDockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd"
	MediaTypeDockerForeign   = "application/vnd.docker.image.rootfs.foreign.diff.tar"
)
