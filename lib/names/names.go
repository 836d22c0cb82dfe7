// Package names parses the names of sources and destinations as users type them. If a name is
// probably a mistake, the error suggests the right one.
package names

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"chunkah/lib/image"
	"chunkah/lib/quote"
	"chunkah/lib/rootfs"
	"chunkah/lib/transport"
)

// Source parses the name of a source. command is the command line up to this name, for suggestions.
// It can be empty.
func Source(name, command string) (image.Location, error) {
	if err := refuseImageName(name, command); err != nil {
		return image.Location{}, err
	}
	src, err := transport.ParseSource(name)
	if err == nil && !src.IsImage() {
		err = refuseCopy(src.Path)
	}
	if err == nil && src.Path == name { // without a transport
		err = refuseLayout(name)
	}
	return src, err
}

// Directory refuses the path of a directory that contains an image instead of a root file system.
func Directory(path string) error {
	if err := refuseCopy(path); err != nil {
		return err
	}
	return refuseLayout(path)
}

// destination parses the name of a destination.
func destination(name string) (image.Location, error) {
	if err := refuseOutputName(name); err != nil {
		return image.Location{}, err
	}
	return transport.ParseDestination(name)
}

// Image parses the name of an image.
func Image(name string) (image.Location, error) {
	if err := refuseImageName(name, ""); err != nil {
		return image.Location{}, err
	}
	src, err := transport.ParseSource(name)
	if err != nil || src.IsImage() {
		return src, err
	}
	if meant := Guess(src.Path); meant != "" && src.IsDirectory() {
		return src, fmt.Errorf("source %q is not an image: did you mean %s?", name, quote.Shell(meant))
	}
	return src, fmt.Errorf("source %q is not an image: expected %s", name, Or(transport.Forms((*image.Transport).IsImage)))
}

// Or joins words into a list of alternatives for a sentence.
func Or(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Guess returns the name of the image that a path could refer to, or an empty string.
func Guess(path string) string {
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() {
		return "oci-archive:" + path
	}
	if _, err := os.Stat(filepath.Join(path, "oci-layout")); err == nil {
		return "oci:" + path
	}
	return ""
}

// copyNames are the file names in a directory written by skopeo's dir: transport. copyForm matches
// the names of its blobs and signatures.
var (
	copyNames = []string{"version", "manifest.json"}
	copyForm  = regexp.MustCompile(`^([0-9a-f]{64}(\.manifest\.json)?|signature-[0-9]+)$`)
)

// refuseCopy refuses a directory that contains an image written with skopeo's dir: transport. In
// chunkah, dir: is a root directory.
func refuseCopy(path string) error {
	names := namesIn(path, copyNames[0])
	foreign := func(name string) bool { return !slices.Contains(copyNames, name) && !copyForm.MatchString(name) }
	if slices.ContainsFunc(names, foreign) || !slices.ContainsFunc(names, copyForm.MatchString) || !slices.Contains(names, copyNames[1]) {
		return nil
	}
	return fmt.Errorf("%q is an image in the format of skopeo's dir: transport, not a root: convert the image into a layout with %s, and use --from oci:layout", path,
		quote.Shell("skopeo", "copy", "dir:"+path, "oci:layout"))
}

// namesIn returns the names in a directory, or nothing if the directory does not contain a regular
// file with the given name.
func namesIn(path, file string) []string {
	if info, err := os.Lstat(filepath.Join(path, file)); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	root, err := rootfs.Open(path)
	if err != nil {
		return nil // the later open reports the error
	}
	defer root.Close()
	names, _ := root.ReadDir("/") // the later open reports this error too
	return names
}

// layoutNames are the names in a layout directory. Other tools write the last three.
var layoutNames = []string{"oci-layout", "index.json", "blobs", "ingest", "manifest.json", "repositories"}

// refuseLayout refuses a directory that contains only a layout, unless the name starts with a
// transport for directories. Users usually mean the image in the layout, not the layout's blobs.
func refuseLayout(path string) error {
	names := namesIn(path, layoutNames[0])
	foreign := func(name string) bool { return !slices.Contains(layoutNames, name) }
	if slices.ContainsFunc(names, foreign) || !slices.Contains(names, "index.json") || !slices.Contains(names, "blobs") {
		return nil
	}
	return fmt.Errorf("%q is a layout directory: did you mean the source %s? (%s means the files in the directory)", path,
		quote.Shell("oci:"+path), quote.Shell("dir:"+path))
}

// CheckReadableAgain refuses images that only this process can read, and only once, because later
// stages open the sources listed in the header of the stream.
func CheckReadableAgain(sources []string) error {
	for _, s := range sources {
		src, err := transport.ParseSource(s)
		if err != nil || src.IsDirectory() || src.Path == "" {
			continue // Source reports the error
		}
		info, err := os.Stat(src.Path)
		if err != nil {
			continue // opening it reports the error
		}
		own := src.Path == "/dev/stdin" || strings.HasPrefix(src.Path, "/dev/fd/") || strings.HasPrefix(src.Path, "/proc/self/")
		if own || !info.Mode().IsRegular() && !info.IsDir() {
			return fmt.Errorf("source %q can be read only once, but later stages read it again: save it to a file, or use chunkah build --from", s)
		}
	}
	return nil
}
