package names

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"chunkah/lib/daemon"
	"chunkah/lib/quote"
	"chunkah/lib/storage"
	"chunkah/lib/transport"
)

// imageName matches image names that contain a host, tag or digest, as in podman and docker.
// shortName matches names without any of these, which are usually directories.
var (
	imageName = regexp.MustCompile(`^(` +
		`(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+:[0-9]+)(/[a-z0-9]+([._-]+[a-z0-9]+)*)+(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?` +
		`|[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[\w][\w.-]{0,127}|(:[\w][\w.-]{0,127})?@sha256:[0-9a-f]{64}))$`)
	shortName = regexp.MustCompile(`^[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
)

// where lists the places that can contain an image with a given name.
type where struct{ registry, local bool }

// imagePlaces returns the places that can contain an image with a name in another tool's syntax.
// The name of an existing file is not an image name.
func imagePlaces(name string) (at where, found bool) {
	if _, err := os.Lstat(name); err == nil || transport.HasTransport(name) || !imageName.MatchString(name) {
		return where{}, false
	}
	host, rest, deep := strings.Cut(name, "/")
	switch {
	case deep && host == "localhost": // podman's name of a locally built image
		return where{local: true}, true
	case deep && rest != "" && strings.ContainsAny(host, ".:"):
		return where{registry: true}, true
	}
	return where{registry: true, local: true}, true
}

// enginesWith returns, for each container engine that has the image, the name of the engine and the
// source.
//
//nolint:contextcheck,nolintlint // an error message has no context
func enginesWith(name string) (ways [][2]string) {
	if img, err := storage.Open(storage.Store{}, name); err == nil {
		_ = img.Close() // opened only for reading
		ways = append(ways, [2]string{"podman", transport.Storage.Prefix + name})
	}
	if client, err := daemon.Open(); err == nil && client.Runs() {
		ctx, cancel := context.WithTimeout(context.Background(), daemonPatience)
		defer cancel()
		if _, err := client.ID(ctx, name); err == nil {
			ways = append(ways, [2]string{"docker", transport.Daemon.Prefix + name})
		}
	}
	return ways
}

// daemonPatience is the maximum time that an error message waits for a Docker daemon.
const daemonPatience = 2 * time.Second

// refuseImageName refuses an image name without a transport as a source, and suggests the right
// syntax. command is the command up to its source, or empty.
func refuseImageName(name, command string) error {
	at, found := imagePlaces(name)
	var engines [][2]string
	if found {
		engines = enginesWith(name)
	} else if _, err := os.Lstat(name); err != nil && shortName.MatchString(name) {
		if engines = enginesWith(name); len(engines) == 0 {
			return nil // a missing directory
		}
	} else {
		return nil
	}
	var ways []string
	for _, e := range engines {
		ways = append(ways, fmt.Sprintf("%s has it: %s", e[0], strings.TrimSpace(command+" "+quote.Shell(e[1]))))
	}
	if at.registry {
		ways = append(ways, "for a registry, write docker://"+name)
	}
	if at.local && len(engines) == 0 {
		ways = append(ways, fmt.Sprintf("for podman's storage, write %s%s, and for Docker's %s%s", transport.Storage.Prefix, name, transport.Daemon.Prefix, name))
	}
	if !strings.Contains(name, "/") {
		ways = append(ways, quote.Shell("./"+name)+" is the directory with this name")
	}
	return fmt.Errorf("%q is the name of an image: %s", name, strings.Join(ways, "; "))
}

// refuseOutputName refuses an image name without a transport as a destination.
func refuseOutputName(name string) error {
	at, found := imagePlaces(name)
	if !found {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(name)); err == nil && strings.Contains(name, "/") {
		return nil // a file in that directory
	}
	quoted := quote.Shell(name)
	var ways []string
	if at.registry {
		ways = append(ways, "to a registry with -o docker://"+quoted)
	}
	if at.local {
		ways = append(ways, "to podman's storage with -o containers-storage:"+quoted, "to a Docker daemon with -o docker-daemon:"+quoted)
	}
	if !strings.Contains(name, "/") && at.registry {
		ways = append(ways, "-o "+quote.Shell("./"+name)+" is the file with this name")
	}
	return fmt.Errorf("-o %q is the name of an image: write it %s", name, strings.Join(ways, ", "))
}
