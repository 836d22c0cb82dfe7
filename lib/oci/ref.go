package oci

import (
	"fmt"
	"regexp"
	"strings"
)

const (
	// Annotations that contain an image's name in an index. podman and skopeo read
	// annotationRefName as the full name. containerd prefers AnnotationContainerdName.
	annotationRefName = "org.opencontainers.image.ref.name"
	// AnnotationContainerdName is containerd's annotation.
	AnnotationContainerdName = "io.containerd.image.name"

	maxName = 255 // bytes of a name without its tag; registries and clients accept no more
)

var (
	tagForm       = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	domainForm    = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:[0-9]+)?$|^\[[0-9A-Fa-f:]+\](:[0-9]+)?$`)
	componentForm = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`)
	// refNameForm is the image specification's grammar for org.opencontainers.image.ref.name.
	refNameForm = regexp.MustCompile(`^[A-Za-z0-9]+(([-._:@+]|--)[A-Za-z0-9]+)*(/[A-Za-z0-9]+(([-._:@+]|--)[A-Za-z0-9]+)*)*$`)
)

// CheckTag checks that s is an image name: [DOMAIN[:PORT]/]NAME[:TAG], for example localhost/app:1.
func CheckTag(s string) error {
	if s == "" {
		return fmt.Errorf("image name is empty")
	}
	if strings.Contains(s, "@") {
		return fmt.Errorf("image name %q contains a digest, which is known only when the image is finished: use NAME[:TAG]", s)
	}
	name, tag, ok := cutTag(s)
	if ok && !tagForm.MatchString(tag) {
		return fmt.Errorf("image name %q has the tag %q: a tag consists of at most 128 letters, digits, _ . and -, and does not begin with . or -", s, tag)
	}
	if len(name) > maxName {
		return fmt.Errorf("image name %q is longer than %d bytes", s, maxName)
	}
	_, path := cutDomain(name)
	for component := range strings.SplitSeq(path, "/") {
		switch {
		case componentForm.MatchString(component):
		case strings.ToLower(component) != component:
			return fmt.Errorf("image name %q contains upper-case letters in %q, which are allowed only in a tag", s, component)
		default:
			return fmt.Errorf("image name %q has the part %q: must be lower-case letters and digits, joined by . _ or -", s, component)
		}
	}
	return nil
}

// CheckRefName checks that s can be used as an image's name in an index.
func CheckRefName(s string) error {
	if refNameForm.MatchString(s) || CheckTag(s) == nil {
		return nil
	}
	return fmt.Errorf("invalid reference %q: expected a name such as app:1 or localhost/app:1", s)
}

// checkNames checks that these names are valid for an image. ref can be empty.
func checkNames(ref string, also []string) error {
	if ref == "" && len(also) == 0 {
		return nil
	}
	for _, name := range append([]string{ref}, also...) {
		if err := CheckRefName(name); err != nil {
			return err
		}
	}
	return nil
}

// cutTag splits an image name before its tag. A colon that is followed by a slash precedes a port
// instead.
func cutTag(s string) (name, tag string, ok bool) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || strings.Contains(s[colon:], "/") {
		return s, "", false
	}
	return s[:colon], s[colon+1:], true
}

// cutDomain splits an image name after its domain. If it does not contain a domain, domain is
// empty.
func cutDomain(name string) (domain, path string) {
	first, rest, ok := strings.Cut(name, "/")
	if ok && (first == "localhost" || strings.ContainsAny(first, ".:")) && domainForm.MatchString(first) {
		return first, rest
	}
	return "", name
}

// refAnnotations returns the index annotations for an image with this name.
func refAnnotations(ref string) map[string]string {
	if ref == "" {
		return nil
	}
	m := map[string]string{annotationRefName: ref}
	if domain, _ := cutDomain(ref); domain != "" && CheckTag(ref) == nil {
		m[AnnotationContainerdName] = tagged(ref)
	}
	return m
}

// tagged returns an image name, with the default tag added if it does not contain a tag.
func tagged(ref string) string {
	if _, _, ok := cutTag(ref); ok {
		return ref
	}
	return ref + ":latest"
}
