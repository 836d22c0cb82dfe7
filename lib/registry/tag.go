package registry

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"chunkah/lib/oci"
)

// tagGrace is how long the request that moves the tag may take after the context has ended. Only
// its response shows whether the tag has moved.
const tagGrace = 5 * time.Second

// put pushes a manifest by its digest or a tag.
func (p *Push) put(ctx context.Context, doc oci.Document, name string) error {
	resp, err := p.repo.send(ctx, p.manifestRequest(doc, name, ""))
	if err != nil {
		return err
	}
	defer drop(resp)
	return checkAnswer(resp, doc.Descriptor.Digest)
}

// moveTag points a tag at a manifest. After the request is sent, the end of the context does not
// cancel it immediately. refused means that the registry may require another format.
func (p *Push) moveTag(ctx context.Context, tag string, top oci.Document) (what string, refused bool, err error) {
	repo := p.repo
	what = fmt.Sprintf("moving tag %q of %q to %q", tag, repo.ref.repository(), top.Descriptor.Digest)
	grace, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		_ = repo.opt.Wait(grace, tagGrace) // returns early when the request has returned
		cancel(context.Cause(ctx))
	})
	defer stop()
	unknown := false // true if it is unknown whether the tag has moved
	err = repo.retry(ctx, what, func() error {
		if p.tagged(ctx, tag, top) {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := p.put(grace, top, tag)
		unknown, refused = err != nil && !refuses(err), refusesFormat(err)
		return err
	})
	if err != nil && unknown && ctx.Err() != nil {
		repo.warn("%s: no response from the registry: check the tag before you push again", what)
	}
	return what, refused, err
}

// tagged reports whether the tag already names the manifest. Some registries refuse to push the
// same manifest again. If the check fails, the tag is moved.
func (p *Push) tagged(ctx context.Context, tag string, top oci.Document) bool {
	resp, err := p.repo.send(ctx, request{
		method: http.MethodHead, url: p.repo.url("manifests", tag), scopes: p.rights(),
		header: http.Header{"Accept": {strings.Join(manifestTypes, ", ")}},
	}, http.StatusOK)
	if err != nil {
		return false
	}
	defer drop(resp)
	return resp.Header.Get(digestHeader) == top.Descriptor.Digest.String()
}
