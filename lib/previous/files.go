package previous

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/console"
	"chunkah/lib/filelist"
	"chunkah/lib/image"
	"chunkah/lib/interrupt"
	"chunkah/lib/pack"
	"chunkah/lib/patch"
	"chunkah/lib/plan"
	"chunkah/lib/proofs"
)

// search determines which files the layers of the previous image contain.
//
// The history of a layer contains only a digest of its entries, and whoever made the image can
// write any digest there. So the digest is used only if the user's record confirms that the blob
// has this diffID and that the layer with this diffID has these entries. In that case, the source
// of the lists does not matter. All other layers are read.
type search struct {
	log    *console.Console
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

// Options specify where Files looks for the files of layers.
type Options struct {
	Image image.Options
	// Plan is the plan of the previous build. It is not used if it is empty, "-", or not a file.
	Plan string
	// Trust means that the image's claims about the files in its layers are trusted.
	Trust bool
	// Log receives messages.
	Log *console.Console
}

// Files returns the layers of the previous image with their files. The files come from the plan of
// the previous build, from a document attached to the image, from the tables of zstd:chunked
// layers, or else from the layers.
func Files(ctx context.Context, img *image.Image, opt Options) (*pack.Image, error) {
	s := &search{
		log: opt.Log, img: img, proven: proofs.Open(proofs.Path()), want: make(map[string][]int), left: len(img.Layers),
		image: &pack.Image{Name: img.Pinned(), Layers: make([]pack.ImageLayer, len(img.Layers))},
	}
	s.addRecords(opt.Trust)
	for _, place := range []struct {
		name string
		read func(context.Context) (map[string]filelist.List, error)
	}{
		{"the plan", func(ctx context.Context) (map[string]filelist.List, error) { return s.readPlan(ctx, opt.Plan) }},
		{"the document attached to the image", s.readAttached},
		{"its table of contents", s.readTables},
	} {
		if len(s.want) == 0 {
			break
		}
		found, err := place.read(ctx)
		if err != nil {
			return nil, err
		}
		s.add(found, place.name)
	}
	if s.left > 0 {
		if err := s.readLayers(ctx, opt.Image); err != nil {
			return nil, err
		}
	}
	s.setTars()
	s.log.Info("files of the previous image: %s", console.List(s.said))
	return s.image, nil
}

// addRecords adds the records in the image's history.
func (s *search) addRecords(trust bool) {
	for i, made := range s.img.Layers {
		at := &s.image.Layers[i]
		at.DiffID = made.DiffID.String()
		at.Record, _ = plan.FromHistory(made.History)
		entries := ""
		if at.Record != nil {
			entries = at.Record.Entries
		}
		if entries == "" { // the user's record can list it nevertheless
			at.Entries = s.proven.EntriesOf(made.DiffID).String()
			entries = at.Entries
		}
		switch {
		case entries == "":
		case trust || s.isProven(made, entries):
			s.want[entries] = append(s.want[entries], i)
		default:
			s.unproven++
		}
	}
}

// isProven reports whether this user has verified that the blob decompresses to the layer, and that
// the layer has these entries.
func (s *search) isProven(made image.Layer, entries string) bool {
	d := made.Descriptor
	return (d.Digest == made.DiffID || s.proven.Has(made.DiffID, d.Digest, d.Size)) && s.proven.HasEntries(made.DiffID, digest.Digest(entries))
}

// add adds lists of files, by the digest of their entries.
func (s *search) add(found map[string]filelist.List, from string) {
	n := 0
	for entries, files := range found {
		for _, i := range s.want[entries] {
			s.image.Layers[i].Files = files
			n++
		}
		delete(s.want, entries)
	}
	s.say(n, from)
}

// say records the source of the files of n layers.
func (s *search) say(n int, from string) {
	if s.left -= n; n > 0 {
		s.said = append(s.said, fmt.Sprintf("%s from %s", console.Plural(n, "layer"), from))
	}
}

// readLayers reads the layers without files. This verifies their diffIDs. It compares their entries
// with the history, and records the result, so that the next build need not read them.
func (s *search) readLayers(ctx context.Context, opt image.Options) error {
	var missing []int
	size := int64(0)
	for i, at := range s.image.Layers {
		if at.Files.Len() == 0 {
			missing, size = append(missing, i), size+s.img.Layers[i].Descriptor.Size
		}
	}
	if s.unproven > 0 {
		why := fmt.Sprintf("your record %q does not list their files", proofs.Path())
		if proofs.Path() == "" {
			why = "there is no home directory with a record of their files (set XDG_STATE_HOME)"
		}
		s.log.Warn("reading %s of the previous image once (%s), because %s; --trust-previous avoids this, but then chunkah does not verify the image's file lists", console.Plural(len(missing), "layer"), console.Bytes(size), why)
	}
	read, err := image.Entries(ctx, s.img, missing, image.FlattenOptions{Spool: opt.Spool, MaxBytes: opt.MaxBytes})
	if err != nil {
		return fmt.Errorf("reading the previous image: %w", err)
	}
	for n, i := range missing {
		if err := s.compare(i, read[n]); err != nil {
			return err
		}
	}
	s.say(len(missing), "the layers themselves")
	if err := s.proven.Save(); err != nil {
		s.log.Debug("recording the files of layers: %s", err)
	}
	return nil
}

// compare sets the true entries of a layer. If the history contains a different digest, it is
// corrected.
func (s *search) compare(i int, read image.LayerEntries) error {
	at, made := &s.image.Layers[i], &s.img.Layers[i]
	at.Layer = patch.Layer(read)
	got, err := plan.EntriesOf(read.Files.All())
	if err != nil {
		return err
	}
	if read.Fault == "" {
		at.Entries = got
	}
	if at.Record != nil && at.Record.Entries != "" && (got != at.Record.Entries || read.Fault != "") {
		s.log.Warn("layer %d of the previous image does not contain the files that its history lists: using the files in the layer", i)
		at.Record.Entries = got
	}
	if read.Fault == "" && got != "" {
		s.proven.Add(made.DiffID, made.Descriptor.Digest, made.Descriptor.Size)
		s.proven.AddEntries(made.DiffID, digest.Digest(got))
	}
	return nil
}

// readPlan reads the files in the plan of the previous build.
func (s *search) readPlan(ctx context.Context, name string) (map[string]filelist.List, error) {
	if name == "" || name == "-" {
		return nil, nil
	}
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil, nil // a first build
	}
	in, err := interrupt.Open(ctx, name, image.OpenFile)
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	defer in.Close()
	found, note, err := plan.ReadFiles(interrupt.NewStream(ctx, in), strconv.Quote(name))
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	if note != "" {
		s.log.Warn("files of the previous image: %s", note)
	}
	return found, nil
}

// maxAttached is the largest size of the document that lists an image's files, in bytes.
const maxAttached = 256 << 20

// readAttached reads the files in the document attached to the image. Without a usable document it
// returns nil.
func (s *search) readAttached(ctx context.Context) (found map[string]filelist.List, err error) {
	repo := s.img.Repository()
	if repo == nil {
		return nil, nil
	}
	err = repo.ReadAttached(ctx, s.img.Manifest.Descriptor.Digest, plan.FilesType, maxAttached, func(in io.Reader) (bool, error) {
		files, note, err := plan.ReadFiles(in, "the document attached to the previous image")
		if err != nil {
			return false, err
		}
		if note != "" {
			s.log.Warn("files of the previous image: %s", note)
		}
		found = files
		return len(files) > 0, nil
	})
	return found, err
}
