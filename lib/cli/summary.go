package cli

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/inspect"
	"chunkah/lib/metrics"
	"chunkah/lib/oci"
	"chunkah/lib/quote"
	"chunkah/lib/reuse"
	"chunkah/lib/scan"
	"chunkah/lib/transport"
	"chunkah/lib/write"
)

// result describes where an image was written, and how much clients of the previous image must
// download.
type result struct {
	outputs  []output
	previous *image.Source // nil if unknown, like costs
	costs    []reuse.Cost
	bytes    int64    // total size of the blobs
	options  []string // options for a command that reads the image
	part     bool     // the image is part of an index that is not complete yet
}

// result returns the result of a build. previous is nil if there is none.
func (f *writeFlags) result(insecure bool, w *write.Report, previous *image.Image) *result {
	r := &result{}
	r.outputs, _ = f.outputs() // checked before the build
	if insecure && r.outputs[0].Network {
		r.options = []string{"--insecure"}
	}
	for _, l := range w.Blobs {
		r.bytes += l.Descriptor.Size
	}
	if previous == nil {
		return r
	}
	var old []oci.Layer
	for _, l := range previous.Layers {
		old = append(old, oci.Layer{Descriptor: l.Descriptor, DiffID: l.DiffID})
	}
	r.previous = &previous.Source
	r.costs = reuse.Costs(layersOnly(previous.Config.Descriptor.Digest, old), layersOnly(w.Config, w.Blobs))
	return r
}

// layersOnly returns an image without contents, for comparing layers.
func layersOnly(config digest.Digest, layers []oci.Layer) *inspect.Image {
	in := &inspect.Image{Config: v1.Descriptor{Digest: config}}
	for _, l := range layers {
		in.Layers = append(in.Layers, inspect.Layer{Layer: image.Layer{Descriptor: l.Descriptor, DiffID: l.DiffID}, Bytes: inspect.Unknown})
	}
	return in
}

// lines describe the image: its place and digest, its sizes, the reused layers, and the download.
func (r *result) lines(w *write.Report) []string {
	wrote := fmt.Sprintf("wrote %s, digest %s", r.place(), w.Manifest)
	if r.part {
		wrote = "made the image " + w.Manifest
	}
	lines := []string{
		wrote,
		fmt.Sprintf("%s of %s in %s: %s", plural(w.Files, "file"), plural(int64(w.Components), "component"), plural(int64(w.Layers), "layer"), sizesText(w)),
	}
	if w.KeptPrevious > 0 {
		lines = append(lines, fmt.Sprintf("kept %s of the previous image", plural(int64(w.KeptPrevious), "layer")))
	}
	if w.Kept > 0 {
		lines = append(lines, fmt.Sprintf("kept %s of the source below the new layers", plural(int64(w.Kept), "layer")))
	}
	if w.Reused > 0 {
		lines = append(lines, fmt.Sprintf("reused %d of %s (%s)", w.Reused, plural(int64(w.Layers), "layer"), bytesText(w.ReusedBytes)))
	}
	if r.previous != nil {
		lines = append(lines, r.download())
	}
	return lines
}

// place describes the destinations, and the image in them.
func (r *result) place() string {
	var names []string
	for _, o := range r.outputs {
		names = append(names, o.place())
	}
	return strings.Join(names, "; ")
}

// place describes the destination, and the image in it.
func (o output) place() string {
	name := quote.Name(o.String())
	if o.IsStdout() {
		name = "an image to standard output"
		if o.Ref != "" {
			name = fmt.Sprintf("%s to standard output", quote.Name(o.Ref))
		}
	}
	if len(o.also) > 0 {
		name += ", also named " + quote.Names(o.also)
	}
	return name
}

// download describes how much clients of the previous image download. Docker is listed separately
// if it downloads a different amount.
func (r *result) download() string {
	line := fmt.Sprintf("a client of the previous image downloads %s of %s", bytesText(r.cost(reuse.Podman)), bytesText(r.bytes))
	if docker := r.cost(reuse.Docker); docker != r.cost(reuse.Podman) {
		line += fmt.Sprintf(" (docker with overlay2: %s)", bytesText(docker))
	}
	return line
}

// cost returns the number of bytes that a client of the previous image downloads.
func (r *result) cost(client reuse.Client) int64 {
	for _, c := range r.costs {
		if c.Client == client {
			return c.Download
		}
	}
	return 0
}

// next returns a command that shows the difference from the previous image, or else the layers. It
// is empty if the image cannot be read again, for example from standard output.
func (r *result) next() string {
	target := r.outputs[0]
	name := target.String()
	if src, err := transport.ParseSource(name); r.part || target.IsStdout() || err != nil || src.Path != target.Path || src.Ref != target.Ref {
		return ""
	}
	words := append([]string{wrapper, "inspect"}, r.options...)
	if r.previous != nil && !r.replaced() {
		words[1] = "reuse"
		words = append(words, r.previous.String())
	}
	return quote.Shell(append(words, name)...)
}

// replaced reports whether the previous image no longer exists at its location.
func (r *result) replaced() bool {
	old, target := *r.previous, r.outputs[0]
	if target.File { // a file contains one image, whatever its name
		old.Ref, target.Ref = "", ""
	}
	return old.String() == target.String()
}

// sizesText formats the size of the layers before and after compression.
func sizesText(w *write.Report) string {
	if w.BlobBytes == w.Bytes {
		return bytesText(w.Bytes)
	}
	return fmt.Sprintf("%s, compressed %s", bytesText(w.Bytes), bytesText(w.BlobBytes))
}

// summary prints the result of a build, with the skipped files and the time of each stage.
func (r *reports) summary(env *Env, run *metrics.Run, made *result) {
	if env.Verbose < 0 {
		return
	}
	w := r.written
	lines := made.lines(w)
	if parts := r.skipped(); len(parts) > 0 {
		lines = append(lines, "skipped: "+listText(parts))
	}
	total := 0.0
	var took []string
	for _, s := range run.Took() {
		total += s.Seconds
		took = append(took, s.Stage+" "+secondsText(s.Seconds))
	}
	lines = append(lines, fmt.Sprintf("took %s: %s", secondsText(total), strings.Join(took, ", ")))
	if next := made.next(); next != "" {
		lines = append(lines, "next: "+next)
	}
	attributes := []slog.Attr{
		slog.String("manifest", w.Manifest), slog.String("destination", made.outputs[0].String()),
		slog.Int("layers", w.Layers), slog.Int("components", w.Components),
		slog.Int64("files", w.Files), slog.Int64("bytes", w.Bytes), slog.Int64("blob_bytes", w.BlobBytes),
		slog.Int("reused_layers", w.Reused), slog.Int64("reused_bytes", w.ReusedBytes), slog.Int("kept_layers", w.Kept),
		slog.Float64("seconds", total),
	}
	if others := made.outputs[1:]; len(others) > 0 {
		var names []string
		for _, o := range others {
			names = append(names, o.String())
		}
		attributes = append(attributes, slog.Any("more_destinations", names))
	}
	if made.previous != nil {
		attributes = append(attributes, slog.Int64("download_bytes", made.cost(reuse.Podman)))
	}
	env.console().Print(slog.LevelInfo, lines, attributes...)
}

// skipped lists the files, xattrs and layers that are not in the image.
func (r *reports) skipped() []string {
	var parts []string
	for _, c := range scan.Counts(r.scanned.Skipped) {
		parts = append(parts, skippedText(c))
	}
	for _, n := range r.scanned.Notes {
		parts = append(parts, fmt.Sprintf("%s %q", n.What, n.Path))
	}
	dropped := []map[string]int64{r.scanned.Dropped}
	if r.packed != nil {
		dropped = append(dropped, r.packed.Stripped)
	}
	for _, m := range dropped {
		for _, c := range scan.Counts(m) {
			parts = append(parts, fmt.Sprintf("the xattr %s of %s", quote.Name(c.Name), plural(c.N, "file")))
		}
	}
	if n := r.written.Duplicates; n > 0 {
		parts = append(parts, plural(int64(n), "layer")+" with the contents of another layer")
	}
	return parts
}

// skippedText formats a number of skipped files and its reason: "2 FIFOs", "1 socket (cannot be
// stored in a tar)", "3 files marked by the xattr user.chunkah.skip".
func skippedText(c scan.Count) string {
	if strings.HasPrefix(c.Name, "marked ") {
		return plural(c.N, "file") + " " + quote.Name(c.Name)
	}
	kind, why, found := strings.Cut(c.Name, ": ")
	if !found {
		return plural(c.N, kind)
	}
	return fmt.Sprintf("%s (%s)", plural(c.N, kind), quote.Name(why))
}

// longestList is the largest number of items in a list in the summary. With -v the whole list is
// printed.
const longestList = 5

func listText(parts []string) string {
	if len(parts) > longestList {
		parts = append(parts[:longestList:longestList], fmt.Sprintf("and %d more", len(parts)-longestList))
	}
	return strings.Join(parts, ", ")
}
