// Package previous reads the plan or the image of the previous build.
package previous

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"chunkah/lib/group"
	"chunkah/lib/image"
	"chunkah/lib/interrupt"
	"chunkah/lib/plan"
	"chunkah/lib/transport"
)

// Layout reads a layout from a plan or an image. An error means that reading failed. Invalid
// contents are reported in a note.
func Layout(ctx context.Context, src image.Location, opt image.Options) (prev *group.Previous, note, err error) {
	if src, err = Resolve(src); err != nil {
		return nil, nil, err
	}
	if src.IsImage() {
		return ofImage(ctx, src, opt)
	}
	f, err := interrupt.Open(ctx, src.Path, image.OpenFile)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	prev, text, err := plan.Read(interrupt.NewStream(ctx, f), strconv.Quote(src.Path))
	return prev, noteOf(text), err
}

// noteOf returns a string as a note, or nil if the string is empty.
func noteOf(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// ofImage reads the layout of an image. It returns an error only if the system or registry cannot
// provide the manifest. A damaged image is used as far as it can be read.
func ofImage(ctx context.Context, src image.Location, opt image.Options) (prev *group.Previous, note, err error) {
	img, err := image.Open(ctx, src, opt)
	var refused syscall.Errno
	var part *image.PartError
	switch {
	case errors.As(err, &part) && ctx.Err() == nil:
		return nil, fmt.Errorf("%w: planning without the previous layout", err), nil
	case err != nil && (src.Network || ctx.Err() != nil || errors.As(err, &refused)):
		return nil, nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: planning without the previous layout", err), nil
	}
	prev, text := plan.FromConfig(img.Config.Data, strconv.Quote(src.String()))
	return prev, noteOf(text), img.Close()
}

// Resolve detects what a path without a transport is: a layout directory, an archive or a plan.
// Anything that is not a regular file or directory, such as a pipe, is treated as a plan.
func Resolve(src image.Location) (image.Location, error) {
	if src.IsImage() {
		return src, nil
	}
	info, err := os.Stat(src.Path)
	if err != nil {
		return src, err
	}
	if info.IsDir() {
		src.Transport = transport.Layout
	} else if info.Mode().IsRegular() {
		first, err := firstByte(src.Path)
		if err != nil {
			return src, err
		}
		if !plan.Starts(first) {
			src.Transport = transport.Archive
		}
	}
	return src, nil
}

// firstByte returns the first byte of a file, or a space if the file is empty.
func firstByte(path string) (byte, error) {
	in, err := image.OpenFile(path)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	first := []byte{' '}
	if _, err := in.Read(first); err != nil && err != io.EOF {
		return 0, err
	}
	return first[0], nil
}
