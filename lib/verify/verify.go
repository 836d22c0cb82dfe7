// Package verify looks for all that is wrong with an image, wherever it is: digests,
// sizes and diffIDs, the schema of its documents and what they say of each other, and
// the order of its layers' tars.
//
// Unlike those who read an image, it does not stop at the first fault. A fault hides
// others only where nothing can be read behind it: what a broken manifest lists, or
// the rest of a layer that does not decompress.
//
// # What is a fault
//
// What the image specification forbids, and what chunkah or another client refuses. In
// layers that chunkah has made, by their history, also entries out of order, entries
// without the directory above them, and a name that is there twice; in others, which
// clients take, it is a note. So are other oddities of healthy images, and what cannot
// be looked into: artifacts beside images, images of other systems, and platforms that
// an index lists and that are elsewhere.
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
)

// Fault is one thing that is wrong.
type Fault struct {
	// Where is what it is wrong with, from the outside in: a document, a layer.
	Where string
	// Path is the name of an entry in a layer's tar, as it stands there; empty for
	// the whole.
	Path string
	What string
}

// String is the fault in one line.
func (f Fault) String() string {
	if f.Path == "" {
		return fmt.Sprintf("%s: %s", f.Where, oneLine(f.What))
	}
	return fmt.Sprintf("%s: %q: %s", f.Where, f.Path, oneLine(f.What))
}

// MarshalJSON makes an object of where, path and what. A path that is not UTF-8 is as
// in a stream (format/SPEC.md, section 3): path_raw has its bytes in base64.
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

// oneLine keeps what an image says of itself from making lines of its own.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

// Options say how an image is verified. The zero value is enough for local images.
type Options struct {
	// Image says how it is opened. Of an index the images of its platform are verified,
	// of all platforms where it has none.
	Image image.Options
	// Whole is given each image that nothing is wrong with, and its tree with sums in
	// place of contents; nil for nobody. What it returns ends the run.
	Whole func(context.Context, *image.Image, *image.Tree) error
}

// Report says what was found.
type Report struct {
	Faults, Notes []Fault
	// Images and Layers count what was read, Bytes the sizes of all blobs.
	Images, Layers int
	Bytes          int64
}

// maxDepth bounds indexes in indexes, and maxDocuments what all
// of them list.
const (
	maxDepth     = 4
	maxDocuments = 1024
)

// Run verifies what a source names: of a layout without a name, all that it holds. An
// error is that the image cannot be reached.
func Run(ctx context.Context, src image.Source, opt Options) (*Report, error) {
	fetch, err := image.OpenFetcher(ctx, src, opt.Image)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", src, err)
	}
	v := &verifier{ctx: ctx, src: src, opt: opt, fetch: fetch, seen: map[listing]bool{}, report: &Report{}}
	err = v.top()
	switch none := v.report.Images == 0 && len(v.report.Faults) == 0; {
	case err != nil || !none:
	case opt.Image.Platform != "":
		err = fmt.Errorf("it holds no image for %s", opt.Image.Platform)
	default:
		v.fault(src.String(), "it holds no image")
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

// once leaves out what is told already: of a manifest that is listed in several ways.
func once(faults []Fault) []Fault {
	told := make(map[Fault]bool)
	return slices.DeleteFunc(faults, func(f Fault) bool {
		again := told[f]
		told[f] = true
		return again
	})
}

// verifier is one run.
type verifier struct {
	ctx    context.Context // of this one run
	src    image.Source
	opt    Options
	fetch  image.Fetcher
	seen   map[listing]bool // manifests and indexes
	report *Report
}

// listing is all that an index says of a manifest that can be wrong. What is listed
// twice in the same words, as under two tags, is read once.
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

// top verifies what the source names.
func (v *verifier) top() error {
	_, pinned, _ := strings.Cut(v.src.Ref, "@")
	store, indexed := v.fetch.(image.Indexed)
	if indexed && pinned == "" {
		return v.layout(store)
	}
	data, mediaType, err := v.fetch.Manifest(v.ctx, v.src.Ref)
	if damage, ok := errors.AsType[*image.DamageError](err); ok {
		v.fault("manifest.json", "%s", damage)
		return nil
	}
	if err != nil {
		return err
	}
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if pinned != "" && !v.src.DockerFormat {
		d.Digest = digest.Digest(pinned)
	}
	return v.document("", d, data, 0)
}

// layout verifies the index of a layout, and what the source names of it.
func (v *verifier) layout(store image.Indexed) error {
	const where = "index.json"
	data, err := store.Index()
	if err != nil {
		return err
	}
	index, faults := parseIndex(data)
	v.faults(where, faults)
	if index == nil || v.src.Ref == "" {
		return v.list(where, index, 0, true)
	}
	picked, _, err := store.Manifest(v.ctx, v.src.Ref)
	if err != nil {
		return err
	}
	index, _ = parseIndex(picked)
	return v.list(where, index, 0, true)
}

// list verifies what an index lists. Of the index of a whole layout, nothing may be
// missing.
func (v *verifier) list(where string, index *v1.Index, depth int, whole bool) error {
	if index == nil {
		return nil // its fault is told
	}
	if depth > maxDepth {
		v.fault(where, "it lies in indexes more than %d deep", maxDepth)
		return nil
	}
	var absent []v1.Descriptor
	before := v.report.Images
	for i, d := range index.Manifests {
		at := fmt.Sprintf("manifest %d (%s) of %s", i, d.Digest, where)
		if err := oci.CheckDescriptor(d); err != nil {
			continue // its fault is told
		}
		if v.seen[listingOf(d)] {
			continue
		}
		if len(v.seen) >= maxDocuments {
			v.fault(at, "it is one of more than %d manifests", maxDocuments)
			return nil
		}
		if d.Platform != nil && !image.IsAttestation(d) {
			if fits, err := image.Fits(v.opt.Image.Platform, *d.Platform); err != nil {
				return err
			} else if !fits {
				continue
			}
		}
		if !whole && v.isAbsent(d) {
			absent = append(absent, d)
			continue
		}
		data := v.read(at, d)
		if data == nil {
			continue
		}
		if err := v.document(where, d, data, depth+1); err != nil {
			return err
		}
	}
	v.absent(where, absent, v.report.Images > before)
	return nil
}

// isAbsent reports whether a manifest is not in a layout, as docker save leaves it out
// with all platforms but one.
func (v *verifier) isAbsent(d v1.Descriptor) bool {
	if _, local := v.fetch.(image.Indexed); !local {
		return false
	}
	in, err := v.fetch.Blob(v.ctx, d)
	if err == nil {
		in.Close()
	}
	return errors.Is(err, fs.ErrNotExist)
}

// absent tells of the manifests that an index lists and that are not there. Where it has
// no image at all, that is a fault.
func (v *verifier) absent(where string, list []v1.Descriptor, others bool) {
	switch {
	case len(list) == 0:
	case others:
		v.note(where, "it lists images that are not there, and not verified: %s", image.PlatformNames(list))
	default:
		v.fault(where, "none of the images that it lists is there: %s", image.PlatformNames(list))
	}
}

// document verifies a manifest or an index that was listed in another one; in is
// empty for one that the source itself names.
func (v *verifier) document(in string, d v1.Descriptor, data []byte, depth int) error {
	if in != "" {
		in = " of " + in
	}
	v.seen[listingOf(d)] = true
	where := fmt.Sprintf("manifest %s%s", d.Digest, in)
	if got := d.Digest.Algorithm().FromBytes(data); in == "" && got != d.Digest {
		v.fault(where, "its bytes have the digest %q", got)
	}
	if blobs, is := image.Artifact(data, d); is {
		v.artifact(where, d, data, blobs)
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
		return v.list(where, index, depth, false)
	}
	m, faults := parseManifest(data)
	v.faults(where, faults)
	if m == nil {
		return nil
	}
	return v.image(where, d, m)
}

// artifact verifies digests and sizes of what is no image.
func (v *verifier) artifact(where string, d v1.Descriptor, data []byte, blobs []v1.Descriptor) {
	if !image.IsAttestation(d) {
		v.note(where, "it is an artifact and no image: its blobs are verified, and not looked into")
	} else {
		_, faults := parseManifest(data)
		v.faults(where, faults)
	}
	for i, b := range blobs {
		v.skim(fmt.Sprintf("blob %d (%s) of %s", i, b.Digest, where), b)
	}
}

// read reads a document and compares it with its descriptor; nil where that is not
// possible.
func (v *verifier) read(where string, d v1.Descriptor) []byte {
	in, err := v.fetch.Blob(v.ctx, d)
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
		v.fault(where, "it has more than the %d bytes that clients take", oci.MaxDocument)
		return nil
	case int64(len(data)) != d.Size:
		v.fault(where, "it has %d bytes where its descriptor says %d", len(data), d.Size)
	}
	if got := d.Digest.Algorithm().FromBytes(data); got != d.Digest {
		v.fault(where, "its bytes have the digest %q", got)
	}
	v.report.Bytes += int64(len(data))
	return data
}

// skim compares a blob with its descriptor, whatever it holds.
func (v *verifier) skim(where string, d v1.Descriptor) {
	if err := oci.CheckDescriptor(d); err != nil {
		return // its fault is told
	}
	in, err := v.fetch.Blob(v.ctx, d)
	if err != nil {
		v.fault(where, "%s", err)
		return
	}
	defer in.Close()
	verifier := d.Digest.Verifier()
	n, err := io.Copy(verifier, interrupt.Reader(v.ctx, in))
	switch {
	case err != nil:
		v.fault(where, "%s", err)
	case n != d.Size:
		v.fault(where, "it has %d bytes where its descriptor says %d", n, d.Size)
	case !verifier.Verified():
		v.fault(where, "its bytes have another digest")
	}
	v.report.Bytes += n
}
