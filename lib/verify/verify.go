// Package verify finds all problems in an image: wrong digests, sizes and diffIDs, invalid or
// inconsistent documents, and layers whose entries are in the wrong order.
//
// Other code that reads images stops at the first fault. This package continues, unless the rest
// cannot be read, for example after a broken manifest or in a corrupt compressed layer.
//
// # What is a fault
//
// A fault is a violation of the image specification, or anything else that chunkah or another
// client rejects. Layers that the history records as made by chunkah are checked more strictly:
// entries out of order, entries before their parent directory, and duplicate names are faults. In
// layers made by other tools the same findings are only notes, because clients accept them. Other
// notes report harmless oddities, and images that cannot be checked completely: artifacts, images
// for other operating systems, and platforms that an index lists but that are missing.
package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/image"
	"chunkah/lib/interrupt"
	"chunkah/lib/oci"
	"chunkah/lib/patch"
)

// Fault is one problem.
type Fault struct {
	// Where names the document or layer with the problem, preceded by the documents that contain
	// it.
	Where string
	// Path is an entry's name as in the layer's tar. It is empty if the problem does not concern a
	// single entry.
	Path string
	What string
}

// String formats the fault as one line.
func (f Fault) String() string {
	if f.Path == "" {
		return fmt.Sprintf("%s: %s", f.Where, oneLine(f.What))
	}
	return fmt.Sprintf("%s: %q: %s", f.Where, f.Path, oneLine(f.What))
}

// MarshalJSON encodes the fields where, path and what. If the path is not valid UTF-8, path_raw
// contains its bytes in base64, as in the stream (format/SPEC.md, section 3).
func (f Fault) MarshalJSON() ([]byte, error) {
	object := struct {
		Where   string `json:"where"`
		Path    string `json:"path,omitempty"`
		PathRaw []byte `json:"path_raw,omitempty"`
		What    string `json:"what"`
	}{Where: f.Where, What: f.What}
	object.Path, object.PathRaw = format.TextRaw(f.Path)
	return json.Marshal(object)
}

// oneLine joins the lines of a string from an image.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

// Options specify how an image is verified. The zero value is enough for local images.
type Options struct {
	// Image specifies how to open the image. If the image is an index, only the images for
	// Image.Platform are verified, or all images if Platform is empty.
	Image image.Options
	// Whole is called for each image without faults. Its tree contains checksums instead of file
	// contents. An error stops the run. Whole can be nil.
	Whole func(context.Context, *image.Image, *image.Tree) error
	// Stale requests Report.Stale.
	Stale bool
}

// Report is the result of a run.
type Report struct {
	Faults, Notes []Fault
	// Images and Layers are the numbers of images and layers read. Bytes is the total size of their
	// blobs.
	Images, Layers int
	Bytes          int64
	// Stale lists the images with hidden files, if requested.
	Stale []StaleImage
}

// StaleImage is an image with files that upper layers hide.
type StaleImage struct {
	Where  string
	Layers []patch.StaleLayer
}

// maxDepth limits how deeply indexes can be nested. maxDocuments limits the total number of
// manifests and indexes.
const (
	maxDepth     = 4
	maxDocuments = 1024
)

// Run verifies the image that src specifies, or the whole layout if src specifies no image. It
// returns an error if the image cannot be reached.
func Run(ctx context.Context, src image.Location, opt Options) (*Report, error) {
	fetch, err := image.OpenFetcher(ctx, src, opt.Image)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", src, err)
	}
	v := &verifier{src: src, opt: opt, fetch: fetch, seen: map[listing]bool{}, report: &Report{}}
	err = v.source(ctx)
	switch none := v.report.Images == 0 && len(v.report.Faults) == 0; {
	case err != nil || !none:
	case opt.Image.Platform != "":
		err = fmt.Errorf("contains no image for %s", opt.Image.Platform)
	default:
		v.fault(src.String(), "contains no image")
	}
	if err = errors.Join(err, fetch.Close()); err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("verifying %q: %w", src, err)
	}
	v.report.Faults, v.report.Notes = once(v.report.Faults), once(v.report.Notes)
	return v.report, nil
}

// once removes duplicate faults, which occur if a manifest is listed several times.
func once(faults []Fault) []Fault {
	seen := make(map[Fault]bool)
	return slices.DeleteFunc(faults, func(f Fault) bool {
		again := seen[f]
		seen[f] = true
		return again
	})
}

// verifier is the state of one run.
type verifier struct {
	src    image.Location
	opt    Options
	fetch  image.Fetcher
	seen   map[listing]bool // manifests and indexes
	report *Report
}

// listing contains the parts of a descriptor that can be wrong. If a manifest is listed by two
// equal descriptors, for example under two tags, it is read only once.
type listing struct {
	mediaType         string
	digest            digest.Digest
	size              int64
	os, arch, variant string
}

func listingOf(d v1.Descriptor) listing {
	l := listing{mediaType: d.MediaType, digest: d.Digest, size: d.Size}
	if p := d.Platform; p != nil {
		l.os, l.arch, l.variant = p.OS, p.Architecture, p.Variant
	}
	return l
}

func (v *verifier) fault(where, format string, args ...any) {
	v.report.Faults = append(v.report.Faults, Fault{Where: where, What: fmt.Sprintf(format, args...)})
}

func (v *verifier) note(where, format string, args ...any) {
	v.report.Notes = append(v.report.Notes, Fault{Where: where, What: fmt.Sprintf(format, args...)})
}

func (v *verifier) faults(where string, errs []error) {
	for _, err := range errs {
		v.fault(where, "%s", err)
	}
}

// source verifies the image that v.src specifies.
func (v *verifier) source(ctx context.Context) error {
	_, pinned, _ := strings.Cut(v.src.Ref, "@")
	store, indexed := v.fetch.(image.Indexed)
	if indexed && pinned == "" {
		return v.layout(ctx, store)
	}
	data, mediaType, err := v.fetch.Manifest(ctx, v.src.Ref)
	if damage, ok := errors.AsType[*image.DamageError](err); ok {
		v.fault("manifest.json", "%s", damage)
		return nil
	}
	if err != nil {
		return err
	}
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if pinned != "" && !v.src.ByConfig {
		d.Digest = digest.Digest(pinned)
	}
	return v.document(ctx, "", d, data, 0)
}

// layout verifies a layout's index, and the image in it that the source specifies.
func (v *verifier) layout(ctx context.Context, store image.Indexed) error {
	const where = "index.json"
	data, err := store.Index()
	if err != nil {
		return err
	}
	index, faults := parseIndex(data)
	v.faults(where, faults)
	if index == nil || v.src.Ref == "" {
		return v.list(ctx, where, index, 0, true)
	}
	picked, _, err := store.Manifest(ctx, v.src.Ref)
	if err != nil {
		return err
	}
	index, _ = parseIndex(picked)
	return v.list(ctx, where, index, 0, true)
}

// list verifies the manifests that an index lists. If whole is set, a missing manifest is a fault.
func (v *verifier) list(ctx context.Context, where string, index *v1.Index, depth int, whole bool) error {
	if index == nil {
		return nil // already reported
	}
	if depth > maxDepth {
		v.fault(where, "indexes are nested more than %d deep", maxDepth)
		return nil
	}
	var absent []v1.Descriptor
	before := v.report.Images
	for i, d := range index.Manifests {
		at := fmt.Sprintf("manifest %d (%s) of %s", i, d.Digest, where)
		if err := oci.CheckDescriptor(d); err != nil {
			continue // already reported
		}
		if v.seen[listingOf(d)] {
			continue
		}
		if len(v.seen) >= maxDocuments {
			v.fault(at, "more than %d manifests", maxDocuments)
			return nil
		}
		if d.Platform != nil && !image.IsAttestation(d) {
			if fits, err := image.Fits(v.opt.Image.Platform, *d.Platform); err != nil {
				return err
			} else if !fits {
				continue
			}
		}
		if !whole && v.isAbsent(ctx, d) {
			absent = append(absent, d)
			continue
		}
		data := v.read(ctx, at, d)
		if data == nil {
			continue
		}
		if err := v.document(ctx, where, d, data, depth+1); err != nil {
			return err
		}
	}
	v.absent(where, absent, v.report.Images > before)
	return nil
}

// isAbsent reports whether a manifest is missing from a layout, because docker save writes only one
// of an index's platforms.
func (v *verifier) isAbsent(ctx context.Context, d v1.Descriptor) bool {
	if _, local := v.fetch.(image.Indexed); !local {
		return false
	}
	in, err := v.fetch.Blob(ctx, d)
	if err == nil {
		in.Close()
	}
	return errors.Is(err, fs.ErrNotExist)
}

// absent reports manifests that an index lists but that are missing. They are a fault only if no
// image is left.
func (v *verifier) absent(where string, list []v1.Descriptor, others bool) {
	switch {
	case len(list) == 0:
	case others:
		v.note(where, "lists images that are missing and were not verified: %s", image.PlatformNames(list))
	default:
		v.fault(where, "all listed images are missing: %s", image.PlatformNames(list))
	}
}

// document verifies a manifest or an index. in is the document that lists it. It is empty if the
// source refers to the document directly.
func (v *verifier) document(ctx context.Context, in string, d v1.Descriptor, data []byte, depth int) error {
	if in != "" {
		in = " of " + in
	}
	v.seen[listingOf(d)] = true
	where := fmt.Sprintf("manifest %s%s", d.Digest, in)
	if got := d.Digest.Algorithm().FromBytes(data); in == "" && got != d.Digest {
		v.fault(where, "content has the wrong digest %q", got)
	}
	if blobs, is := image.Artifact(data, d); is {
		v.artifact(ctx, where, d, data, blobs)
		return nil
	}
	isIndex, err := image.IsIndex(data, d.MediaType)
	if err != nil {
		v.fault(where, "%s", err)
		return nil
	}
	if isIndex {
		where = fmt.Sprintf("index %s%s", d.Digest, in)
		index, faults := parseIndex(data)
		v.faults(where, faults)
		return v.list(ctx, where, index, depth, false)
	}
	m, faults := parseManifest(data)
	v.faults(where, faults)
	if m == nil {
		return nil
	}
	return v.image(ctx, where, d, m)
}

// artifact verifies only digests and sizes, because an artifact is not an image.
func (v *verifier) artifact(ctx context.Context, where string, d v1.Descriptor, data []byte, blobs []v1.Descriptor) {
	if !image.IsAttestation(d) {
		v.note(where, "an artifact, not an image: only the digests of its blobs are verified")
	} else {
		_, faults := parseManifest(data)
		v.faults(where, faults)
	}
	for i, b := range blobs {
		v.checkBlob(ctx, fmt.Sprintf("blob %d (%s) of %s", i, b.Digest, where), b)
	}
}

// read reads a document and compares it with its descriptor. It returns nil if the document cannot
// be read.
func (v *verifier) read(ctx context.Context, where string, d v1.Descriptor) []byte {
	in, err := v.fetch.Blob(ctx, d)
	if err != nil {
		v.fault(where, "%s", err)
		return nil
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, oci.MaxDocument+1))
	switch {
	case err != nil:
		v.fault(where, "%s", err)
		return nil
	case len(data) > oci.MaxDocument:
		v.fault(where, "larger than the %d bytes that clients accept", oci.MaxDocument)
		return nil
	case int64(len(data)) != d.Size:
		v.fault(where, "is %d bytes, but its descriptor specifies %d", len(data), d.Size)
	}
	if got := d.Digest.Algorithm().FromBytes(data); got != d.Digest {
		v.fault(where, "content has the wrong digest %q", got)
	}
	v.report.Bytes += int64(len(data))
	return data
}

// checkBlob compares a blob with its descriptor without parsing it.
func (v *verifier) checkBlob(ctx context.Context, where string, d v1.Descriptor) {
	if err := oci.CheckDescriptor(d); err != nil {
		return // already reported
	}
	in, err := v.fetch.Blob(ctx, d)
	if err != nil {
		v.fault(where, "%s", err)
		return
	}
	defer in.Close()
	verifier := d.Digest.Verifier()
	n, err := io.Copy(verifier, interrupt.Reader(ctx, in))
	switch {
	case err != nil:
		v.fault(where, "%s", err)
	case n != d.Size:
		v.fault(where, "is %d bytes, but its descriptor specifies %d", n, d.Size)
	case !verifier.Verified():
		v.fault(where, "content does not match the digest")
	}
	v.report.Bytes += n
}
