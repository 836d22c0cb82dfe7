package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"chunkah/lib/transport"
)

// imageName matches the names of images as podman and docker take them, with a host, a
// tag or a digest: without any of these, a name is that of a directory.
var imageName = regexp.MustCompile(`^(` +
	`(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+:[0-9]+)(/[a-z0-9]+([._-]+[a-z0-9]+)*)+(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?` +
	`|[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[\w][\w.-]{0,127}|(:[\w][\w.-]{0,127})?@sha256:[0-9a-f]{64}))$`)

// where is a place that an image may be in by its name.
type where struct{ registry, podman, docker bool }

// placesOf says where an image may be that somebody names in the way of another tool.
// Its name comes without the transport of that tool. A file of that name is no image.
func placesOf(name string) (ref string, at where, found bool) {
	if ref, ok := strings.CutPrefix(name, "containers-storage:"); ok && ref != "" {
		return ref, where{podman: true}, true
	}
	if ref, ok := strings.CutPrefix(name, "docker-daemon:"); ok && ref != "" {
		return ref, where{docker: true}, true
	}
	if _, err := os.Lstat(name); err == nil || transport.HasTransport(name) || !imageName.MatchString(name) {
		return "", where{}, false
	}
	host, rest, deep := strings.Cut(name, "/")
	switch {
	case deep && host == "localhost": // what podman calls an image that was built here
		return name, where{podman: true}, true
	case deep && rest != "" && strings.ContainsAny(host, ".:"):
		return name, where{registry: true}, true
	}
	return name, where{registry: true, podman: true}, true
}

// refuseName refuses the name of an image where a source is wanted, and says what to
// write. take is the command that reads it, up to its source; empty for one that reads a
// source several times.
func refuseName(name, take string) error {
	ref, at, found := placesOf(name)
	if !found {
		return nil
	}
	// A stream can be read once; who reads again wants a file.
	saved := func(save, transport string) string {
		if take == "" {
			return fmt.Sprintf("%s %s > image.tar, and then %s:image.tar", save, shellLine([]string{ref}), transport)
		}
		return fmt.Sprintf("%s %s | %s %s:-", save, shellLine([]string{ref}), take, transport)
	}
	var ways []string
	if at.registry {
		ways = append(ways, "in a registry it is docker://"+ref)
	}
	if at.podman {
		ways = append(ways, "podman's own: "+saved("podman save --format oci-archive", "oci-archive"))
	}
	if at.docker {
		ways = append(ways, "Docker's own: "+saved("docker save", "docker-archive"))
	}
	if !strings.Contains(name, "/") && at.registry {
		ways = append(ways, shellLine([]string{"./" + name})+" is the directory of that name")
	}
	return usagef("%q is the name of an image: %s", name, strings.Join(ways, "; "))
}

// refuseOutputName refuses the name of an image where a place for one is wanted.
func refuseOutputName(name string) error {
	ref, at, found := placesOf(name)
	if !found {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(name)); err == nil && strings.Contains(name, "/") {
		return nil // a file in that folder
	}
	quoted := shellLine([]string{ref})
	var ways []string
	if at.registry {
		ways = append(ways, "into a registry by -o docker://"+quoted)
	}
	if at.podman {
		ways = append(ways, fmt.Sprintf("into podman's storage by -t %s | podman load", quoted))
	}
	if at.docker {
		ways = append(ways, fmt.Sprintf("into Docker by -o docker-archive:-:%s | docker load", quoted))
	}
	if !strings.Contains(name, "/") && at.registry {
		ways = append(ways, "-o "+shellLine([]string{"./" + name})+" is the file of that name")
	}
	return usagef("-o %q is the name of an image: it goes %s", name, strings.Join(ways, ", "))
}
