package cli

import (
	"errors"
	"io/fs"
	"os/exec"
	"slices"
	"syscall"

	"chunkah/format"
	"chunkah/lib/extract"
	"chunkah/lib/pack"
	"chunkah/lib/registry"
)

// hint returns advice for errors that have the same fix wherever they occur. It is empty for other
// errors, which can contain advice in their own text.
func hint(err error, uid int) string {
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
	}
	_, extracting := errors.AsType[*extract.WriteError](err)
	_, refused := errors.AsType[*registry.FormatError](err)
	_, unattached := errors.AsType[*registry.AttachError](err)
	contents, unread := errors.AsType[*pack.ContentsError](err)
	switch {
	case unread && !errors.Is(contents, fs.ErrPermission):
		return "do not write to the source during a build; run chunkah-pack where it can read the scanned source, or use --fresh-times, which does not read the source"
	case is(format.ErrTruncated):
		return "the command that writes the stream ended early: see its error message"
	case refused:
		return "the registry may accept only manifests in Docker's format: use --manifest-type docker of build or write"
	case unattached:
		return "the registry may not store documents about an image: write the bill of materials to a file (--sbom FILE, chunkah sbom -o FILE), and attach it with cosign attest"
	case extracting && is(syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS):
		return "extract to another file system, or free some space in this one"
	case is(syscall.ENOSPC, syscall.EDQUOT):
		return "free some space, or use another directory: -o for the image, --spool for temporary layer data, --cache for the cache"
	case is(syscall.EROFS):
		return "use a writable directory for -o, --spool or --cache; in a container, mount one: --tmpfs /var/tmp"
	case is(fs.ErrPermission) && uid == 0:
		return "a container, SELinux or a network file system can forbid this even to root: run chunkah outside the container"
	case is(fs.ErrPermission):
		return "run it as root, or under podman unshare for files of rootless containers"
	case is(syscall.EMFILE, syscall.ENFILE):
		return "raise the limit on open files: ulimit -n"
	case is(syscall.ENOTDIR):
		return "this argument must be a directory; for a file, add its transport: tar:FILE for a root, oci-archive:FILE or docker-archive:FILE for an image"
	case is(exec.ErrNotFound):
		return "install the command, or use its full path"
	}
	return ""
}
