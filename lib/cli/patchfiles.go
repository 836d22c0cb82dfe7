package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/opencontainers/go-digest"

	"chunkah/format"
	"chunkah/lib/image"
	"chunkah/lib/interrupt"
	"chunkah/lib/pack"
	"chunkah/lib/patch"
	"chunkah/lib/plan"
	"chunkah/lib/proofs"
	"chunkah/lib/report"
)

// lastFiles finds out which files the layers of the previous image contain.
//
// The history of a layer contains only a digest of its entries, and whoever made the image can
// write any digest there. So it counts only if the user's record says that the blob has this diffID
// and that the layer with this diffID has these entries. The lists can then come from anywhere. All
// other layers are read.
type lastFiles struct {
	env    *Env
	img    *image.Image
	proven *proofs.Proofs
	image  *pack.Image
	// want contains the proven layers without files, by the digest of their entries.
	want map[string][]int
	// left is the number of layers without files. unproven is the number of layers whose entries
	// are unproven.
	left, unproven int
	said           []string
}

// lastLayers returns the layers of the previous image with their files. The files come from the
// plan of --plan, from a document attached to the image, from the tables of zstd:chunked layers, or
// else from the layers.
func (f *packFlags) lastLayers(ctx context.Context, env *Env, images image.Options, img *image.Image) (*pack.Image, error) {
	l := &lastFiles{
		env: env, img: img, proven: proofs.Open(proofs.Path()), want: make(map[string][]int), left: len(img.Layers),
		image: &pack.Image{Name: img.Pinned(), Layers: make([]pack.ImageLayer, len(img.Layers))},
	}
	l.addRecords(f.TrustPrevious)
	sources := []struct {
		name string
		read func() (map[string][]*format.File, error)
	}{
		{"the plan", func() (map[string][]*format.File, error) { return f.plannedFiles(ctx, env) }},
		{"the document attached to the image", func() (map[string][]*format.File, error) { return attachedFiles(ctx, env, img) }},
		{"its table of contents", func() (map[string][]*format.File, error) { return tableFiles(ctx, env, img, l.want) }},
	}
	for _, source := range sources {
		if len(l.want) == 0 {
			break
		}
		found, err := source.read()
		if err != nil {
			return nil, err
		}
		l.add(found, source.name)
	}
	if l.left > 0 {
		if err := l.readLayers(ctx, images); err != nil {
			return nil, err
		}
	}
	env.info("files of the previous image: %s", report.List(l.said))
	return l.image, nil
}

// addRecords adds the records in the image's history.
func (l *lastFiles) addRecords(trust bool) {
	for i, made := range l.img.Layers {
		at := &l.image.Layers[i]
		at.DiffID = made.DiffID.String()
		rec, _ := plan.FromHistory(made.History)
		if at.Record = rec; rec == nil || rec.Entries == "" {
			continue
		}
		if trust || l.isProven(made, rec.Entries) {
			l.want[rec.Entries] = append(l.want[rec.Entries], i)
		} else {
			l.unproven++
		}
	}
}

// isProven reports whether this user has verified that the blob decompresses to the layer, and that
// the layer has these entries.
func (l *lastFiles) isProven(made image.Layer, entries string) bool {
	d := made.Descriptor
	return (d.Digest == made.DiffID || l.proven.Has(made.DiffID, d.Digest, d.Size)) && l.proven.HasEntries(made.DiffID, digest.Digest(entries))
}

// add adds lists of files, by the digest of their entries.
func (l *lastFiles) add(found map[string][]*format.File, from string) {
	n := 0
	for entries, files := range found {
		for _, i := range l.want[entries] {
			l.image.Layers[i].Files = files
			n++
		}
		delete(l.want, entries)
	}
	l.say(n, from)
}

// say records where the files of n layers come from.
func (l *lastFiles) say(n int, from string) {
	if l.left -= n; n > 0 {
		l.said = append(l.said, fmt.Sprintf("%s from %s", plural(int64(n), "layer"), from))
	}
}

// readLayers reads the layers without files. This verifies their diffIDs. It compares their entries
// with the history, and records the result, so that the next build need not read them.
func (l *lastFiles) readLayers(ctx context.Context, opt image.Options) error {
	var missing []int
	size := int64(0)
	for i, at := range l.image.Layers {
		if at.Files == nil {
			missing, size = append(missing, i), size+l.img.Layers[i].Descriptor.Size
		}
	}
	if l.unproven > 0 {
		why := fmt.Sprintf("the record of this user, %q, does not say which files they contain", proofs.Path())
		if proofs.Path() == "" {
			why = "without a home directory there is no record of the files that they contain (set XDG_STATE_HOME)"
		}
		l.env.warn("reading %s of the previous image once (%s), because %s; --trust-previous avoids this, but trusts the image", plural(int64(len(missing)), "layer"), bytesText(size), why)
	}
	read, err := image.Entries(ctx, l.img, missing, image.FlattenOptions{Spool: opt.Spool, MaxBytes: opt.MaxBytes})
	if err != nil {
		return fmt.Errorf("reading the previous image: %w", err)
	}
	for n, i := range missing {
		if err := l.compare(i, read[n]); err != nil {
			return err
		}
	}
	l.say(len(missing), "the layers themselves")
	if err := l.proven.Save(); err != nil {
		l.env.debug("recording the files of layers: %s", err)
	}
	return nil
}

// compare sets the true entries of a layer. If the history contains a different digest, it is
// corrected.
func (l *lastFiles) compare(i int, read image.LayerEntries) error {
	at, made := &l.image.Layers[i], &l.img.Layers[i]
	at.Layer = patch.Layer(read)
	if at.Record == nil || at.Record.Entries == "" {
		return nil
	}
	got, err := plan.EntriesOf(read.Files)
	if err != nil {
		return err
	}
	if got != at.Record.Entries || read.Fault != "" {
		l.env.warn("layer %d of the previous image does not contain the files that its history claims: using the files that it really contains", i)
		at.Record.Entries = got
	}
	if read.Fault == "" && got != "" {
		l.proven.Add(made.DiffID, made.Descriptor.Digest, made.Descriptor.Size)
		l.proven.AddEntries(made.DiffID, digest.Digest(got))
	}
	return nil
}

// plannedFiles reads the files in the plan of the last build.
func (f *packFlags) plannedFiles(ctx context.Context, env *Env) (map[string][]*format.File, error) {
	if f.Plan == "" || f.Plan == "-" {
		return nil, nil
	}
	info, err := os.Stat(f.Plan)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil, nil // a first build
	}
	in, err := interrupt.Open(ctx, f.Plan, image.OpenFile)
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	defer in.Close()
	found, note, err := plan.ReadFiles(interrupt.NewStream(ctx, in), strconv.Quote(f.Plan))
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	if note != "" {
		env.warn("files of the previous image: %s", note)
	}
	return found, nil
}

// maxAttached is the largest size of the document that lists an image's files, in bytes.
const maxAttached = 256 << 20

// attachedFiles reads an image's files from the document attached to the image. Without a usable
// document it returns nil.
func attachedFiles(ctx context.Context, env *Env, img *image.Image) (found map[string][]*format.File, err error) {
	repo := img.Repository()
	if repo == nil {
		return nil, nil
	}
	err = repo.ReadAttached(ctx, img.Manifest.Descriptor.Digest, plan.FilesType, maxAttached, func(in io.Reader) (bool, error) {
		files, note, err := plan.ReadFiles(in, "the document attached to the previous image")
		if err != nil {
			return false, err
		}
		if note != "" {
			env.warn("files of the previous image: %s", note)
		}
		found = files
		return len(files) > 0, nil
	})
	return found, err
}
