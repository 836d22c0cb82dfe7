package transport

import "chunkah/lib/image"

// Directory is a root file system in a directory.
var Directory = &image.Transport{Prefix: "dir:", Form: "dir:DIR"}
