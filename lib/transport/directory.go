package transport

import "chunkah/lib/image"

// Directory is a root file system in a directory.
var Directory = &image.Transport{Prefix: "dir:", Form: "dir:DIR"}

// RootTar is a root file system in a tar, such as docker export and mmdebstrap write.
var RootTar = &image.Transport{Prefix: "tar:", Form: "tar:FILE", File: true}
