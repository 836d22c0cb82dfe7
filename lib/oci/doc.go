// Package oci makes OCI images from finished layers. It reads the config for an image, builds
// config, manifest and index, and writes them and the layers to a layout directory or to an
// archive, which is a tar of a layout. It follows version 1.1 of the OCI image specification and
// does not deal with root file systems or packages.
//
// Its output depends only on its input: JSON is written with sorted keys and without spaces, and
// archive entries have a fixed order, owner and time.
//
// An image appears either completely or not at all: see Destination.
package oci
