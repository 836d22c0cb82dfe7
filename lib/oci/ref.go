package oci

import (
	"fmt"
	"regexp"
	"strings"
)

const (
	// Annotations by which readers of an index find an image's name: podman and skopeo read the first and take the whole
	// name from it, containerd prefers the second.
	annotationRefName = "org.opencontainers.image.ref.name"
	// AnnotationContainerdName is that of containerd.
	AnnotationContainerdName = "io.containerd.image.name"

	maxName = 255 // bytes of an image's name without its tag: what registries and clients take
)

var (
	tagForm       = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	domainForm    = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:[0-9]+)?$|^\[[0-9A-Fa-f:]+\](:[0-9]+)?$`)
	componentForm = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`)
	// refNameForm is the grammar that the image specification has for org.opencontainers.image.ref.name.
	refNameForm = regexp.MustCompile(`^[A-Za-z0-9]+(([-._:@+]|--)[A-Za-z0-9]+)*(/[A-Za-z0-9]+(([-._:@+]|--)[A-Za-z0-9]+)*)*$`)
)

// CheckTag makes sure that s can name an image: [DOMAIN[:PORT]/]NAME[:TAG], as localhost/app:1.
func CheckTag(s string) error {
	if s == "" {
		return fmt.Errorf("image name is empty")
	}
	if strings.Contains(s, "@") {
		return fmt.Errorf("image name %q has a digest: only the finished image has one, give NAME[:TAG]", s)
	}
	name, tag, ok := cutTag(s)
	if ok && !tagForm.MatchString(tag) {
		return fmt.Errorf("image name %q has the tag %q: want letters, digits, _ . -, at most 128, not led by . or -", s, tag)
	}
	if len(name) > maxName {
		return fmt.Errorf("image name %q is longer than %d bytes", s, maxName)
	}
	_, path := cutDomain(name)
	for component := range strings.SplitSeq(path, "/") {
		switch {
		case componentForm.MatchString(component):
		case strings.ToLower(component) != component:
			return fmt.Errorf("image name %q has upper-case letters in %q: only its tag may", s, component)
		default:
			return fmt.Errorf("image name %q has the part %q: want lower-case letters and digits, joined by . _ or -", s, component)
		}
	}
	return nil
}

// CheckRefName makes sure that s can name an image in an index.
func CheckRefName(s string) error {
	if refNameForm.MatchString(s) || CheckTag(s) == nil {
		return nil
	}
	return fmt.Errorf("invalid reference %q: want a name as app:1 or localhost/app:1", s)
}

// checkNames makes sure that an image can have these names; an empty ref is none.
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

// cutTag splits the tag off an image's name; a colon before a slash belongs to a port.
func cutTag(s string) (name, tag string, ok bool) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || strings.Contains(s[colon:], "/") {
		return s, "", false
	}
	return s[:colon], s[colon+1:], true
}

// cutDomain splits the host off an image's name. Without one, domain is empty.
func cutDomain(name string) (domain, path string) {
	first, rest, ok := strings.Cut(name, "/")
	if ok && (first == "localhost" || strings.ContainsAny(first, ".:")) && domainForm.MatchString(first) {
		return first, rest
	}
	return "", name
}

// refAnnotations are those of an index's descriptor for an image of this name.
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

// tagged is an image's name with the tag that clients take where there is none.
func tagged(ref string) string {
	if _, _, ok := cutTag(ref); ok {
		return ref
	}
	return ref + ":latest"
}
