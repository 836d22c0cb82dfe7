package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// Push writes an image, or an index of several, to tags of a repository: it is an oci.Destination. Blob can be called
// several times at the same time.
type Push struct {
	// Readable sends the manifest under its digest too, before the tag moves to it. See oci.Options.
	Readable bool
	// Also are further tags of the repository that the image gets, in this order.
	Also []string

	repo      *Repository
	ctx       context.Context // of all requests: the methods of a Destination have none
	cancelAll context.CancelFunc

	held    sync.Map    // the digests of blobs that are known to be in the repository
	closed  sync.Map    // the names of repositories that no blob can be mounted from
	inParts atomic.Bool // the registry takes no blob in one request

	mu        sync.Mutex
	done      error          // why no more is taken
	manifests []oci.Document // in the order in which they came, children before their parents
	top       *oci.Document  // the one that the tags are to name, once the image is finished
}

var _ oci.Destination = (*Push)(nil)

var (
	errFinished    = errors.New("the push is finished already")
	errNotFinished = errors.New("the image is not finished")
	errDiscarded   = errors.New("the push is discarded")
)

// Push begins to push to the tag of the reference that r was opened with. An error tells that pushing would not be
// allowed. The context is that of the whole push.
func (r *Repository) Push(ctx context.Context) (*Push, error) {
	if r.ref.Digest != "" || r.ref.Tag == "" {
		return nil, fmt.Errorf("pushing to %q: only the finished image has a digest: want a tag alone", r.ref)
	}
	p := &Push{repo: r}
	ctx, p.cancelAll = context.WithCancel(ctx)
	p.ctx = ctx
	what := fmt.Sprintf("opening an upload to %q", r.ref.repository())
	err := r.retry(ctx, what, func() error {
		location, err := p.begin(ctx)
		if err == nil {
			p.cancel(ctx, location)
		}
		return err
	})
	if err != nil {
		p.cancelAll()
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return p, nil
}

// rights are what requests to the repository itself need.
func (p *Push) rights() []string { return []string{scope(p.repo.ref.Name, "pull,push")} }

// blobsAtOnce is how many blobs are sent side by side: enough that a round trip does not count, few enough that no
// registry throttles them.
const blobsAtOnce = 4

// Traits implements oci.Destination.
func (p *Push) Traits() oci.Traits { return oci.Traits{Access: oci.Network, Parallel: blobsAtOnce} }

// NewBlob implements oci.Destination: registries want the digest first.
func (p *Push) NewBlob(int64, bool) (oci.BlobWriter, error) { return nil, nil }

// Blob implements oci.Destination. A manifest or index is kept for Finish.
func (p *Push) Blob(d v1.Descriptor, from string, write func(io.Writer) error) error {
	if err := p.state(); err != nil {
		return err
	}
	what := fmt.Sprintf("pushing blob %q to %q", d.Digest, p.repo.ref.repository())
	if err := oci.CheckDescriptor(d); err != nil {
		return p.fail(what, err)
	}
	if IsManifest(d.MediaType) {
		return p.fail(what, p.keep(d, write))
	}
	if _, held := p.held.Load(d.Digest); held {
		return nil
	}
	src := &source{size: d.Size, write: write}
	err := p.repo.retry(p.ctx, what, func() error {
		err := p.upload(p.ctx, d, p.mountable(from), src)
		if own := src.wait(); own != nil {
			return own
		}
		return err
	})
	if err != nil {
		return p.fail(what, err)
	}
	p.held.Store(d.Digest, true)
	return nil
}

// keep takes a manifest.
func (p *Push) keep(d v1.Descriptor, write func(io.Writer) error) error {
	if d.Size > oci.MaxDocument {
		return fmt.Errorf("%d bytes are more than the %d that registries take for a manifest", d.Size, oci.MaxDocument)
	}
	var b bytes.Buffer
	if err := oci.WriteBlob(&b, d, write); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.manifests = append(p.manifests, oci.Document{Descriptor: d, Data: b.Bytes()})
	return nil
}

// Finish implements oci.Destination. Of an index with one manifest, that manifest becomes the image; one with several is
// pushed as it is. It sends all but the manifest that the tags are to name, unless the image has to be readable: some
// registries take an image by its tag alone.
func (p *Push) Finish(index []byte) (at oci.Location, err error) {
	if err := p.state(); err != nil {
		return at, err
	}
	top, err := p.choose(index)
	if err != nil {
		return at, p.fail(fmt.Sprintf("pushing to %q", p.repo.ref), err)
	}
	for _, doc := range p.manifests {
		if doc.Descriptor.Digest == top.Descriptor.Digest && !p.Readable {
			continue
		}
		what := fmt.Sprintf("pushing manifest %q to %q", doc.Descriptor.Digest, p.repo.ref.repository())
		err := p.repo.retry(p.ctx, what, func() error { return p.put(p.ctx, doc, doc.Descriptor.Digest.String()) })
		if err != nil {
			return at, p.fail(what, err)
		}
	}
	p.top = &top
	return oci.Location{Ref: p.repo.ref.repository() + "@" + top.Descriptor.Digest.String()}, nil
}

// Commit implements oci.Destination: it moves the tags.
func (p *Push) Commit() error {
	if err := p.state(); err != nil {
		return err
	}
	defer p.cancelAll()
	if p.top == nil {
		return p.fail(fmt.Sprintf("pushing to %q", p.repo.ref), errNotFinished)
	}
	for _, tag := range append([]string{p.repo.ref.Tag}, p.Also...) {
		if err := p.moveTag(p.ctx, tag, *p.top); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = errFinished
	return nil
}

// choose returns the manifest that the tags are to name. It is the last of the manifests, or one of them.
func (p *Push) choose(index []byte) (oci.Document, error) {
	if len(index) > oci.MaxDocument {
		return oci.Document{}, fmt.Errorf("the index has %d bytes, more than the %d that registries take", len(index), oci.MaxDocument)
	}
	given := make(map[digest.Digest]oci.Document)
	for _, doc := range p.manifests {
		given[doc.Descriptor.Digest] = doc
	}
	parsed, err := oci.CheckIndex(index, func(d digest.Digest) bool { _, ok := given[d]; return ok })
	if err != nil {
		return oci.Document{}, err
	}
	if len(parsed.Manifests) == 1 {
		return given[parsed.Manifests[0].Digest], nil
	}
	doc := oci.Document{
		Descriptor: v1.Descriptor{MediaType: v1.MediaTypeImageIndex, Digest: digest.FromBytes(index), Size: int64(len(index))},
		Data:       index,
	}
	p.manifests = append(p.manifests, doc)
	return doc, nil
}

// Discard implements oci.Destination: it ends what is under way. What has been sent stays, without a tag.
func (p *Push) Discard() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !errors.Is(p.done, errFinished) {
		p.done = errDiscarded
	}
	p.cancelAll()
	return nil
}

// fail makes an error the push's, if it is one, and ends what else is under way, which then fails for the same reason.
func (p *Push) fail(what string, err error) error {
	if err == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = fmt.Errorf("%s: %w", what, err)
		p.cancelAll()
	} else if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return p.done
}

// state is nil as long as something is taken.
func (p *Push) state() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}
