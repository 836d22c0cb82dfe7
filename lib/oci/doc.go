// Package oci makes OCI images of finished layers. It reads the config for an image, builds config,
// manifest and index, and writes them with the layers to a layout directory, or to an archive,
// which is a tar of a layout. It follows version 1.1 of the OCI image specification and knows
// nothing about root file systems or packages.
//
// Its output depends only on its input: JSON has one form (keys sorted, no spaces), and archive
// entries have one order, owner and time.
//
// An image appears as a whole or not at all: see Destination.
package oci
