package report

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/assign"
	"chunkah/lib/console"
	"chunkah/lib/image"
	"chunkah/lib/inspect"
	"chunkah/lib/metrics"
	"chunkah/lib/names"
	"chunkah/lib/oci"
	"chunkah/lib/pack"
	"chunkah/lib/quote"
	"chunkah/lib/reuse"
	"chunkah/lib/scan"
	"chunkah/lib/transport"
	"chunkah/lib/write"
)

// Image is an image that was written: where, and how much clients of the previous image download.
type Image struct {
	*write.Report
	Outputs  []names.Output
	Previous *image.Location // nil if unknown, like Costs
	Costs    []reuse.Cost
	Options  []string // options for a command that reads the image
	Part     bool     // the image is part of an index that is not complete yet
}

// CompareWith computes the downloads of clients that have the previous image.
func (m *Image) CompareWith(previous *image.Image) {
	var old []oci.Layer
	for _, l := range previous.Layers {
		old = append(old, oci.Layer{Descriptor: l.Descriptor, DiffID: l.DiffID})
	}
	m.Previous = &previous.Source
	m.Costs = reuse.Costs(layersOnly(previous.Config.Descriptor.Digest, old), layersOnly(m.Config, m.Blobs))
}

// layersOnly returns an image without contents, for comparing layers.
func layersOnly(config digest.Digest, layers []oci.Layer) *inspect.Image {
	in := &inspect.Image{Config: v1.Descriptor{Digest: config}}
	for _, l := range layers {
		in.Layers = append(in.Layers, inspect.Layer{Layer: image.Layer{Descriptor: l.Descriptor, DiffID: l.DiffID}, Bytes: inspect.Unknown})
	}
	return in
}

// lines describes the image: its location and digest, its sizes, the reused layers, and the
// download.
func (m *Image) lines() []string {
	wrote := fmt.Sprintf("wrote %s, digest %s", Places(m.Outputs), m.Manifest)
	if m.Part {
		wrote = "made the image " + m.Manifest
	}
	lines := []string{
		wrote,
		fmt.Sprintf("%s of %s in %s: %s", console.Plural(m.Files, "file"), console.Plural(m.Components, "component"), console.Plural(m.Layers, "layer"), m.sizes()),
	}
	if m.KeptLayers > 0 {
		lines = append(lines, fmt.Sprintf("kept %s of the previous image", console.Plural(m.KeptLayers, "layer")))
	}
	if m.BaseLayers > 0 {
		lines = append(lines, fmt.Sprintf("kept %s of the source below the new layers", console.Plural(m.BaseLayers, "layer")))
	}
	if m.Reused > 0 {
		lines = append(lines, fmt.Sprintf("reused %d of %s (%s)", m.Reused, console.Plural(m.Layers, "layer"), console.Bytes(m.ReusedBytes)))
	}
	if m.Previous != nil {
		lines = append(lines, m.download())
	}
	return lines
}

// Places describes destinations, and the image in them.
func Places(outputs []names.Output) string {
	var places []string
	for _, o := range outputs {
		places = append(places, place(o))
	}
	return strings.Join(places, "; ")
}

// place describes the destination, and the image in it.
func place(o names.Output) string {
	name := quote.Name(o.String())
	if o.IsStdout() {
		name = "an image to standard output"
		if o.Ref != "" {
			name = fmt.Sprintf("%s to standard output", quote.Name(o.Ref))
		}
	}
	if len(o.Also) > 0 {
		name += ", also named " + quote.Names(o.Also)
	}
	return name
}

// download describes how much clients of the previous image download. Docker is listed separately
// if it downloads a different amount.
func (m *Image) download() string {
	var total int64
	for _, l := range m.Blobs {
		total += l.Descriptor.Size
	}
	line := fmt.Sprintf("a client of the previous image downloads %s of %s", console.Bytes(m.cost(reuse.Podman)), console.Bytes(total))
	if docker := m.cost(reuse.Docker); docker != m.cost(reuse.Podman) {
		line += fmt.Sprintf(" (docker with overlay2: %s)", console.Bytes(docker))
	}
	return line
}

// cost returns the number of bytes that a client of the previous image downloads.
func (m *Image) cost(client reuse.Client) int64 {
	for _, c := range m.Costs {
		if c.Client == client {
			return c.Download
		}
	}
	return 0
}

// next returns a command that shows the difference from the previous image, or else the layers. It
// is empty if the image cannot be read again, for example from standard output.
func (m *Image) next() string {
	target := m.Outputs[0]
	name := target.String()
	if src, err := transport.ParseSource(name); m.Part || target.IsStdout() || err != nil || src.Path != target.Path || src.Ref != target.Ref {
		return ""
	}
	words := append([]string{"chunkah", "inspect"}, m.Options...)
	if m.Previous != nil && !m.replaced() {
		words[1] = "reuse"
		words = append(words, m.Previous.String())
	}
	return quote.Shell(append(words, name)...)
}

// replaced reports whether the previous image no longer exists at its location.
func (m *Image) replaced() bool {
	old, target := *m.Previous, m.Outputs[0]
	if target.File { // a file contains only one image, regardless of the image's name
		old.Ref, target.Ref = "", ""
	}
	return old.String() == target.String()
}

// sizes formats the size of the layers before and after compression.
func (m *Image) sizes() string {
	if m.BlobBytes == m.Bytes {
		return console.Bytes(m.Bytes)
	}
	return fmt.Sprintf("%s, compressed %s", console.Bytes(m.Bytes), console.Bytes(m.BlobBytes))
}

// Stages are the reports of the stages of a build. The stages run concurrently, and their reports
// are printed in order.
type Stages struct {
	Scanned  *scan.Report
	Assigned *assign.Outcome // nil, like Packed, if another program does the work
	Packed   *pack.Report
	Written  *write.Report
}

// Print prints the reports, without the contents of the summary.
func (s *Stages) Print(log *console.Console) {
	walked(log, s.Scanned)
	if s.Assigned != nil {
		Assign(log, s.Assigned)
	}
	if s.Packed != nil {
		Pack(log, s.Packed)
	}
	wrote(log, s.Written)
}

// Summary prints the result of a build, with the skipped files and the time of each stage.
func (s *Stages) Summary(out *console.Console, run *metrics.Run, made *Image) {
	if out.Verbose < 0 {
		return
	}
	lines := made.lines()
	if parts := s.skipped(); len(parts) > 0 {
		lines = append(lines, "skipped: "+console.List(parts))
	}
	total := 0.0
	var took []string
	for _, t := range run.Took() {
		total += t.Seconds
		took = append(took, t.Stage+" "+secondsText(t.Seconds))
	}
	lines = append(lines, fmt.Sprintf("took %s: %s", secondsText(total), strings.Join(took, ", ")))
	if next := made.next(); next != "" {
		lines = append(lines, "next: "+next)
	}
	attributes := []slog.Attr{
		slog.String("manifest", made.Manifest), slog.String("destination", made.Outputs[0].String()),
		slog.Int("layers", made.Layers), slog.Int("components", made.Components),
		slog.Int64("files", made.Files), slog.Int64("bytes", made.Bytes), slog.Int64("blob_bytes", made.BlobBytes),
		slog.Int("reused_layers", made.Reused), slog.Int64("reused_bytes", made.ReusedBytes), slog.Int("kept_layers", made.BaseLayers),
		slog.Float64("seconds", total),
	}
	if others := made.Outputs[1:]; len(others) > 0 {
		var names []string
		for _, o := range others {
			names = append(names, o.String())
		}
		attributes = append(attributes, slog.Any("more_destinations", names))
	}
	if made.Previous != nil {
		attributes = append(attributes, slog.Int64("download_bytes", made.cost(reuse.Podman)))
	}
	out.Print(slog.LevelInfo, lines, attributes...)
}

// skipped lists the files, xattrs and layers that are not in the image.
func (s *Stages) skipped() []string {
	var parts []string
	for _, c := range scan.Counts(s.Scanned.Skipped) {
		parts = append(parts, skippedText(c))
	}
	for _, n := range s.Scanned.Notes {
		parts = append(parts, fmt.Sprintf("%s %q", n.What, n.Path))
	}
	dropped := []map[string]int64{s.Scanned.Dropped}
	if s.Packed != nil {
		dropped = append(dropped, s.Packed.Stripped)
	}
	for _, m := range dropped {
		for _, c := range scan.Counts(m) {
			parts = append(parts, fmt.Sprintf("the xattr %s of %s", quote.Name(c.Name), console.Plural(c.N, "file")))
		}
	}
	if n := s.Written.Duplicates; n > 0 {
		parts = append(parts, console.Plural(n, "layer")+" with the contents of another layer")
	}
	return parts
}

// skippedText formats a number of skipped files and its reason: "2 FIFOs", "1 socket (cannot be
// stored in a tar)", "3 files marked by the xattr user.chunkah.skip".
func skippedText(c scan.Count) string {
	if strings.HasPrefix(c.Name, "marked ") {
		return console.Plural(c.N, "file") + " " + quote.Name(c.Name)
	}
	kind, why, found := strings.Cut(c.Name, ": ")
	if !found {
		return console.Plural(c.N, kind)
	}
	return fmt.Sprintf("%s (%s)", console.Plural(c.N, kind), quote.Name(why))
}
