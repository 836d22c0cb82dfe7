package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Output is one of several destinations of an image.
type Output struct {
	Destination
	// Name is the destination's name in messages.
	Name string
	// Ref and Also are the image's names in its index, as in Image.
	Ref  string
	Also []string
}

// Several writes one image to several destinations. Each blob is produced only once, and is written
// to the destinations in the order of the outputs. If anything fails before Commit, the image
// appears in none of the destinations.
type Several struct {
	outputs []Output
}

var _ Destination = (*Several)(nil)

// NewSeveral returns a destination that writes to all outputs.
func NewSeveral(outputs []Output) *Several { return &Several{outputs: outputs} }

// Traits implements Destination. It allows only the kinds of access that all outputs support.
func (s *Several) Traits() Traits {
	all := s.outputs[0].Traits()
	for _, o := range s.outputs[1:] {
		t := o.Traits()
		all.Files = append(all.Files, t.Files...)
		all.Parallel = min(all.Parallel, t.Parallel)
		switch {
		case t.Access == all.Access:
		case t.Access == Stacked || all.Access == Stacked:
			all.Access = Stacked
		default:
			all.Access = AppendOnly
		}
	}
	if all.Access != Network && all.Access != Stacked {
		all.Access = AppendOnly
	}
	return all
}

// Blob implements Destination.
func (s *Several) Blob(d v1.Descriptor, hint Hint, write func(io.Writer) error) error {
	for _, o := range s.outputs {
		if err := o.Blob(d, hint, write); err != nil {
			return err
		}
	}
	return nil
}

// NewBlob implements Destination. It is not supported, because such a blob is written only once and
// cannot be sent to several outputs.
func (s *Several) NewBlob(int64, bool) (BlobWriter, error) { return nil, nil }

// Finish implements Destination.
func (s *Several) Finish(index []byte) (all []Finished, err error) {
	for _, o := range s.outputs {
		own, err := o.index(index)
		var at []Finished
		if err == nil {
			at, err = o.Finish(own)
		}
		if err != nil {
			return nil, errors.Join(err, s.Discard())
		}
		all = append(all, at...)
	}
	return all, nil
}

// index returns an index with the image's names in an output.
func (o Output) index(index []byte) ([]byte, error) {
	if err := checkNames(o.Ref, o.Also); err != nil {
		return nil, err
	}
	var parsed v1.Index
	if err := json.Unmarshal(index, &parsed); err != nil {
		return nil, fmt.Errorf("parsing the new index: %w", err)
	}
	if len(parsed.Manifests) != 1 {
		return nil, fmt.Errorf("the new index lists %d images instead of one", len(parsed.Manifests))
	}
	return rootIndex(parsed.Manifests[0], o.Ref, o.Also)
}

// Commit implements Destination. After an error, it commits no further outputs. The error lists the
// outputs that already contain the image.
func (s *Several) Commit() error {
	var complete []string
	for i, o := range s.outputs {
		err := o.Commit()
		if err == nil {
			complete = append(complete, fmt.Sprintf("%q", o.Name))
			continue
		}
		if i > 0 {
			err = fmt.Errorf("%w (the image is complete in %s)", err, strings.Join(complete, ", "))
		}
		return errors.Join(err, s.Discard())
	}
	return nil
}

// Written implements Destination.
func (s *Several) Written(d digest.Digest) (all []digest.Digest) {
	for _, o := range s.outputs {
		all = append(all, o.Written(d)...)
	}
	return all
}

// Discard implements Destination.
func (s *Several) Discard() error {
	var errs []error
	for _, o := range s.outputs {
		errs = append(errs, o.Discard())
	}
	return errors.Join(errs...)
}
