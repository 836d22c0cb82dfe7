// Package oci makes OCI images out of finished layers: it reads the config that an image is to have, builds config,
// manifest and index, and writes them and the layers to a layout folder or to an archive, which is a tar of such a folder.
// It follows version 1.1 of the OCI image specification and knows nothing of root file systems or packages.
//
// What it writes depends on its input alone: JSON has one spelling (keys sorted, no spaces), and the archive's entries
// have one order, owner and time.
//
// An image is there whole or not at all: see Destination.
package oci
