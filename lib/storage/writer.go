//go:build !cgo || exclude_graphdriver_btrfs

package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	containers "go.podman.io/storage"

	"chunkah/lib/oci"
)

// Writer writes one image into a store, with go.podman.io/storage. Layers are unpacked straight
// into their directories, from the bottom up. Layers that are already in the store are not written
// again. The image and its names are written last.
type Writer struct {
	store containers.Store
	names []string
	opt   oci.Options

	top  string                         // ID of the uppermost layer so far
	docs map[digest.Digest]oci.Document // config and manifest
	log  *layerLog
	free bool                     // the store's directory was not mounted before runs of chunkah
	img  *containers.ImageOptions // after Finish
	id   string                   // of the image, after Finish
	made bool                     // this run created the image
	done error                    // the error that stopped the writer, or a final state
}

var _ oci.Destination = (*Writer)(nil)

var (
	errFinished    = errors.New("the image is already finished")
	errNotFinished = errors.New("the image is not finished")
	errDiscarded   = errors.New("the image was discarded")
)

// Create starts writing an image with these names into a store. warn receives the library's
// warnings.
func Create(s Store, names []string, opt oci.Options, warn func(string)) (*Writer, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("writing to containers-storage needs root, or a user namespace with the IDs of this user: run podman unshare chunkah with the same arguments")
	}
	options, err := s.options()
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of containers-storage: %w", err)
	}
	logTo(warn)
	w := &Writer{opt: opt, docs: map[digest.Digest]oci.Document{}}
	for _, name := range names {
		w.names = append(w.names, fullName(name))
	}
	where := fmt.Sprintf("opening containers-storage in %q", options.GraphRoot)
	if err := w.wait(filepath.Join(options.GraphRoot, "storage.lock")); err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	mounted, err := mountinfo.Mounted(filepath.Join(options.GraphRoot, "overlay"))
	w.free = err != nil || !mounted // an error means that the directory does not exist
	if w.store, err = containers.GetStore(options); err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	if drivers[w.store.GraphDriverName()] == nil {
		return nil, fmt.Errorf("%s: the storage driver is %q: expected overlay or vfs", where, w.store.GraphDriverName())
	}
	if err := w.start(); err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return w, nil
}

// start opens the log, and determines who mounted the store's directory.
func (w *Writer) start() error {
	unlock, err := w.guard()
	if err != nil {
		return err
	}
	defer unlock()
	if w.log, err = openLog(w.store.GraphRoot()); err != nil {
		return err
	}
	if !w.free {
		others, err := w.log.others()
		if err != nil {
			return err
		}
		w.free = others.mounted
	}
	if w.free {
		return w.log.line(mountedLine)
	}
	return nil
}

// fullName completes a name as podman does: a name without a registry means an image built on this
// machine.
func fullName(name string) string {
	host, _, deep := strings.Cut(name, "/")
	if !deep || host != "localhost" && !strings.ContainsAny(host, ".:") {
		name = "localhost/" + name
	}
	if !strings.Contains(name[strings.LastIndexByte(name, '/'):], ":") {
		name += ":latest"
	}
	return name
}

// Traits implements oci.Destination. Files of the store never become part of the image, even if the
// store is inside the source.
func (w *Writer) Traits() oci.Traits {
	t := oci.Traits{Access: oci.Stacked}
	if info, err := os.Stat(w.store.GraphRoot()); err == nil {
		t.Files = []os.FileInfo{info}
	}
	return t
}

// NewBlob implements oci.Destination. It is not supported, because a layer's ID depends on its
// digest.
func (w *Writer) NewBlob(int64, bool) (oci.BlobWriter, error) { return nil, nil }

// Blob implements oci.Destination. A blob with a DiffID is the next layer, any other blob is a
// document.
func (w *Writer) Blob(d v1.Descriptor, hint oci.Hint, write func(io.Writer) error) error {
	if w.done != nil {
		return w.done
	}
	if hint.DiffID == "" {
		return w.fail(w.document(d, write))
	}
	if err := w.layer(d, hint.DiffID, write); err != nil {
		return w.fail(fmt.Errorf("writing layer %q to containers-storage in %q: %w", hint.DiffID, w.store.GraphRoot(), err))
	}
	return nil
}

// document keeps a config or a manifest until the image is created.
func (w *Writer) document(d v1.Descriptor, write func(io.Writer) error) error {
	if d.Size > oci.MaxDocument {
		return fmt.Errorf("document %q is %d bytes, above the limit of %d", d.Digest, d.Size, oci.MaxDocument)
	}
	var data bytes.Buffer
	if err := oci.WriteBlob(&data, d, write); err != nil {
		return err
	}
	w.docs[d.Digest] = oci.Document{Descriptor: d, Data: data.Bytes()}
	return nil
}

// layerID returns the ID of a layer. All programs that use this storage compute the same IDs, so
// they can reuse each other's layers.
func layerID(parent string, diffID digest.Digest) string {
	if parent == "" {
		return diffID.Encoded()
	}
	return digest.FromString(parent + "+" + diffID.Encoded()).Encoded()
}

// layer adds a layer on top of the previous ones.
func (w *Writer) layer(d v1.Descriptor, diffID digest.Digest, write func(io.Writer) error) error {
	id := layerID(w.top, diffID)
	if err := w.wait(w.lock("layers")); err != nil {
		return err
	}
	found, err := w.find(id)
	if err == nil && !found {
		err = w.unpack(id, d, diffID, write)
	}
	if err == nil {
		w.top = id
	}
	return err
}

// find reports whether a layer is in the store. Until this run ends, other runs do not remove it.
func (w *Writer) find(id string) (bool, error) {
	unlock, err := w.guard()
	if err != nil {
		return false, err
	}
	defer unlock()
	if err := w.log.use(id); err != nil {
		return false, err
	}
	_, err = w.store.Layer(id)
	if errors.Is(err, containers.ErrLayerUnknown) {
		return false, nil
	}
	return err == nil, err
}

// stoppedError is an error in the store that stops the layer's stream.
type stoppedError struct{ error }

// unpack streams a blob into a new layer. The store does not verify the digests that it receives,
// so unpack removes the layer if the blob's digest is wrong.
func (w *Writer) unpack(id string, d v1.Descriptor, diffID digest.Digest, write func(io.Writer) error) error {
	if err := w.log.add(id); err != nil {
		return err
	}
	opt := &containers.LayerOptions{OriginalDigest: d.Digest, OriginalSize: &d.Size}
	if d.Digest == diffID {
		opt.UncompressedDigest = diffID
	}
	in, out := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := oci.WriteBlob(out, d, write)
		out.CloseWithError(err)
		sent <- err
	}()
	l, _, err := w.store.PutLayer(id, w.top, nil, "", false, opt, in)
	created := err == nil
	if errors.Is(err, containers.ErrDuplicateID) { // another run has added it in the meantime
		l, err = w.store.Layer(id)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, in) // bytes after the end of the tar archive
	}
	in.CloseWithError(stoppedError{err})
	own := <-sent
	if _, stopped := errors.AsType[stoppedError](own); own != nil && !stopped {
		err = own
	}
	if err == nil && l.UncompressedDigest != diffID {
		err = fmt.Errorf("decompresses to %q", l.UncompressedDigest)
	}
	if err != nil && created {
		err = errors.Join(err, w.store.DeleteLayer(id))
	}
	return err
}

// Finish implements oci.Destination. If the image must be readable before Commit, it is created
// without a name.
func (w *Writer) Finish(index []byte) ([]oci.Finished, error) {
	if w.done != nil {
		return nil, w.done
	}
	var at oci.Finished
	err := w.describe(index)
	if err == nil && w.opt.Readable {
		err = w.create()
		at.Ref = "[" + w.store.GraphDriverName() + "@" + w.store.GraphRoot() + "+" + w.store.RunRoot() + "]" + w.id
	}
	if err != nil {
		return nil, errors.Join(w.fail(err), w.Discard())
	}
	return []oci.Finished{at}, nil
}

// Commit implements oci.Destination. It assigns the names to this image and removes them from other
// images.
func (w *Writer) Commit() error {
	if w.done != nil {
		return w.done
	}
	err := w.commit()
	if err != nil {
		return errors.Join(w.fail(err), w.Discard())
	}
	w.done = errFinished
	w.end(false)
	return nil
}

func (w *Writer) commit() error {
	if w.img == nil {
		return errNotFinished
	}
	if !w.opt.Readable {
		if err := w.create(); err != nil {
			return err
		}
	}
	if err := w.wait(w.lock("images")); err != nil {
		return err
	}
	if err := w.store.AddNames(w.id, w.names); err != nil {
		return w.imageError(err)
	}
	return nil
}

// Written implements oci.Destination.
func (*Writer) Written(d digest.Digest) []digest.Digest { return []digest.Digest{d} }

// Discard implements oci.Destination. It removes the new layers, unless another image already uses
// them.
func (w *Writer) Discard() error {
	if errors.Is(w.done, errFinished) || errors.Is(w.done, errDiscarded) {
		return nil
	}
	w.done = errDiscarded
	var err error
	if w.made {
		err = w.store.Delete(w.id) // only the record: DeleteImage would also remove layers that other runs use
	}
	w.end(true)
	return err
}

// end cleans up everything that is needed only while images are written: the log, the bind mount of
// the overlay directory on itself if chunkah created it, and the directory for unfinished layers,
// which podman 5.4 would report as a damaged layer. If other runs are still writing, the last of
// them cleans up.
func (w *Writer) end(failed bool) {
	unlock, err := w.guard()
	if err != nil { // interrupted, or the directory is gone: the next run cleans up
		w.log.leave()
		return
	}
	defer unlock()
	others, err := w.log.others()
	if err != nil {
		w.log.leave()
		return
	}
	w.log.close(w.store, others, failed)
	if others.running > 0 {
		return
	}
	if unlocked, err := isFree(w.lock("layers")); w.free && unlocked && err == nil {
		_, _ = w.store.Shutdown(false) // the mount stays if another process has mounted a layer
	}
	_ = os.Remove(filepath.Join(w.store.GraphRoot(), w.store.GraphDriverName(), "tempdirs")) // unless another process uses it
}

// fail records err as the writer's error, unless err is nil.
func (w *Writer) fail(err error) error {
	if err != nil && w.done == nil {
		w.done = err
	}
	return err
}
