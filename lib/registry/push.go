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

// Push writes an image, or an index of several images, to tags in a repository. It is an
// oci.Destination. Blob can be called concurrently.
type Push struct {
	// If Readable is set, the manifest is also pushed by digest, before the tag moves. See
	// oci.Options.
	Readable bool
	// Also lists additional tags for the image, in this order.
	Also []string
	// If Convert is set, manifests are pushed in Docker's format if the registry refuses OCI
	// manifests.
	Convert bool

	repo      *Repository
	ctx       context.Context // for all requests, since the methods of Destination have no context parameter
	cancelAll context.CancelFunc

	held    sync.Map                      // digests of blobs that are known to be in the repository
	closed  sync.Map                      // names of repositories whose blobs cannot be mounted
	inParts atomic.Bool                   // the registry does not accept a blob in one request
	chunked atomic.Pointer[v1.Descriptor] // a blob whose parts clients will request

	mu        sync.Mutex
	done      error          // the reason why no more blobs are accepted
	manifests []oci.Document // in order of arrival, children before parents
	top       *oci.Document  // the manifest for the tags, once the image is finished
	// docker maps the digests of the OCI manifests to the digests of the manifests in Docker's
	// format, if the manifests were converted.
	docker map[digest.Digest]digest.Digest
}

var _ oci.Destination = (*Push)(nil)

var (
	errFinished    = errors.New("the push is already finished")
	errNotFinished = errors.New("the image is not finished")
	errDiscarded   = errors.New("the push is discarded")
)

// Push begins to push to the tag of r's reference. It fails if the user is not allowed to push. The
// context applies to the whole push.
func (r *Repository) Push(ctx context.Context) (*Push, error) {
	if r.ref.Digest != "" || r.ref.Tag == "" {
		return nil, fmt.Errorf("pushing to %q: the digest is known only after the push: use a tag instead", r.ref)
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

// rights returns the scope of requests to the repository.
func (p *Push) rights() []string { return []string{scope(p.repo.ref.Name, "pull,push")} }

// blobsAtOnce is how many blobs are sent in parallel. It is large enough to hide round trips, and
// small enough that registries do not throttle the push.
const blobsAtOnce = 4

// Traits implements oci.Destination.
func (p *Push) Traits() oci.Traits { return oci.Traits{Access: oci.Network, Parallel: blobsAtOnce} }

// NewBlob implements oci.Destination. It returns nil, because registries need the digest first.
func (p *Push) NewBlob(int64, bool) (oci.BlobWriter, error) { return nil, nil }

// Blob implements oci.Destination. It keeps manifests and indexes in memory for Finish.
func (p *Push) Blob(d v1.Descriptor, hint oci.Hint, write func(io.Writer) error) error {
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
	p.sawBlob(d)
	if _, held := p.held.Load(d.Digest); held {
		return nil
	}
	src := &bodySource{size: d.Size, write: write}
	err := p.repo.retry(p.ctx, what, func() error {
		err := p.upload(p.ctx, d, p.mountable(hint.Image), src)
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

// keep stores a manifest in memory.
func (p *Push) keep(d v1.Descriptor, write func(io.Writer) error) error {
	if d.Size > oci.MaxDocument {
		return fmt.Errorf("%d bytes exceed the %d that registries accept for a manifest", d.Size, oci.MaxDocument)
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

// Finish implements oci.Destination. If the index lists only one manifest, that manifest becomes
// the image; otherwise the index does. All manifests are pushed except the manifest for the tags.
// That manifest is pushed only if the image must be readable, because some registries make an image
// visible without a tag.
func (p *Push) Finish(index []byte) ([]oci.Finished, error) {
	if err := p.state(); err != nil {
		return nil, err
	}
	top, err := p.choose(index)
	if err != nil {
		return nil, p.fail(fmt.Sprintf("pushing to %q", p.repo.ref), err)
	}
	p.top = &top
	if err := p.orDocker(func() (string, bool, error) { return p.putAll(p.Readable) }); err != nil {
		return nil, err
	}
	return []oci.Finished{{Ref: p.repo.ref.repository() + "@" + p.top.Descriptor.Digest.String()}}, nil
}

// putAll pushes all manifests by their digests. It pushes the manifest for the tags only if top is
// set. refused means that the registry may require another format.
func (p *Push) putAll(top bool) (what string, refused bool, err error) {
	for _, doc := range p.manifests {
		if doc.Descriptor.Digest == p.top.Descriptor.Digest && !top {
			continue
		}
		what = fmt.Sprintf("pushing manifest %q to %q", doc.Descriptor.Digest, p.repo.ref.repository())
		permanent := false
		err = p.repo.retry(p.ctx, what, func() error {
			err := p.put(p.ctx, doc, doc.Descriptor.Digest.String())
			refused, permanent = refusesFormat(err), refuses(err)
			return err
		})
		if permanent && !refused && doc.Descriptor.Digest == p.top.Descriptor.Digest {
			err = fmt.Errorf("%w: --verify needs the manifest in the registry before the tag moves; if the registry accepts manifests only with a tag, run chunkah verify after the push instead", err)
		}
		if err != nil {
			return what, refused, err
		}
	}
	return "", false, nil
}

// Commit implements oci.Destination. It moves the tags.
func (p *Push) Commit() error {
	if err := p.state(); err != nil {
		return err
	}
	defer p.cancelAll()
	if p.top == nil {
		return p.fail(fmt.Sprintf("pushing to %q", p.repo.ref), errNotFinished)
	}
	for _, tag := range append([]string{p.repo.ref.Tag}, p.Also...) {
		again := false
		err := p.orDocker(func() (what string, refused bool, err error) {
			if again { // in another format
				if what, refused, err = p.putAll(false); err != nil {
					return what, refused, err
				}
			}
			again = true
			return p.moveTag(p.ctx, tag, *p.top)
		})
		if err != nil {
			return err
		}
	}
	p.checkRanges(p.ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = errFinished
	return nil
}

// choose returns the manifest for the tags: the index itself, or its only manifest.
func (p *Push) choose(index []byte) (oci.Document, error) {
	if len(index) > oci.MaxDocument {
		return oci.Document{}, fmt.Errorf("the index has %d bytes, but registries accept at most %d", len(index), oci.MaxDocument)
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

// Discard implements oci.Destination. It cancels all transfers. Blobs that were already sent stay
// in the registry, without a tag.
func (p *Push) Discard() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !errors.Is(p.done, errFinished) {
		p.done = errDiscarded
	}
	p.cancelAll()
	return nil
}

// fail records err as the push's error, unless err is nil, and cancels all transfers, which then
// fail with the same error.
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

// state returns nil as long as the push accepts blobs.
func (p *Push) state() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}
