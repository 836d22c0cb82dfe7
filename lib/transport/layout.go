package transport

import (
	"context"

	"chunkah/lib/image"
	"chunkah/lib/oci"
)

// Layout is an OCI layout directory.
var Layout = &image.Transport{
	Prefix: "oci:", Form: "oci:DIR[:REF]", Purpose: "for a layout directory, to which the image is added",
	Syntax:   image.PathRef,
	CheckRef: oci.CheckRefName,
	Open:     image.OpenLayout,
	Create: func(_ context.Context, to image.Location, opt image.CreateOptions) (oci.Destination, error) {
		return oci.OpenLayout(to.Path, to.Ref, opt.Options)
	},
}
