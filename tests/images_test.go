package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/xattr"

	"chunkah/tests/clients"
	"chunkah/tests/rpmroot"
	"chunkah/tests/treediff"
)

// dropped reports whether an extended attribute is deliberately left out of an image. These are
// SELinux labels, chunkah's own attributes, and attributes without a value, which every client that
// uses Go's tar package drops.
func dropped(_, name string, value []byte) bool {
	switch name {
	case "security.selinux", "user.component", "user.update-interval":
		return true
	}
	return len(value) == 0
}

// droppedByPodman also allows podman to apply a directory's default ACL to new files in it.
func droppedByPodman(path, name string, value []byte) bool {
	leaks := strings.HasPrefix(path, "/etc/app.d/") && strings.HasPrefix(name, "system.posix_acl_")
	return leaks || dropped(path, name, value)
}

// sameInAllClients unpacks an archive with every client and compares the trees. If run is not nil,
// it is then called with podman's image.
func sameInAllClients(t *testing.T, root, archive string, run func(e *clients.Engine, image string)) {
	t.Helper()
	opt := treediff.Options{SkipXattr: dropped}
	t.Run("umoci", func(t *testing.T) {
		clients.Need(t, "skopeo", "umoci")
		treediff.Equal(t, root, clients.UmociUnpack(t, archive), opt)
	})
	t.Run("chunkah extract", func(t *testing.T) {
		treediff.Equal(t, root, extracted(t, "oci-archive:"+archive), opt)
		treediff.Equal(t, root, untarred(t, "oci-archive:"+archive), opt)
	})
	t.Run("skopeo and tar", func(t *testing.T) {
		clients.Need(t, "skopeo")
		treediff.Equal(t, root, clients.TarUnpack(t, archive), opt)
	})
	t.Run("podman", func(t *testing.T) {
		e := clients.NewEngine(t)
		image := e.Load(archive)
		sameInPodman(t, root, e.Mount(image))
		if run != nil {
			run(e, image)
		}
	})
}

// sameInPodman compares a root with podman's mount. podman ignores the root directory's own entry,
// "./", and sets the mode of the root directory itself.
func sameInPodman(t *testing.T, root, tree string) {
	t.Helper()
	const podmans = 0o555
	diffs, err := treediff.Compare(root, tree, treediff.Options{SkipXattr: droppedByPodman})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diffs {
		if d != fmt.Sprintf(`"/": mode: %04o and %04o`, mode(t, root), podmans) {
			t.Error(d)
		}
	}
}

// mode returns the permission bits of a file.
func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Mode().Perm()
}

func TestImageOfAnRPMRoot(t *testing.T) {
	t.Parallel()
	root := rpmRoot(t)
	archive := build(t, root, "--verify")
	sameInAllClients(t, root, archive, func(e *clients.Engine, image string) {
		checkRPMList(t, e.Run(image, "/usr/bin/rpm", "-qa"))
	})

	t.Run("control xattrs", func(t *testing.T) {
		tree := clients.UmociUnpack(t, archive)
		if names, err := xattr.LList(filepath.Join(tree, "opt/web")); err != nil || len(names) > 0 {
			t.Errorf("/opt/web still has %q, %v", names, err)
		}
	})
	t.Run("docker run", func(t *testing.T) {
		d := clients.NewDocker(t)
		d.Load(archive, "localhost/rpm:1")
		checkRPMList(t, d.Run("localhost/rpm:1", "/usr/bin/rpm", "-qa"))
		treediff.Equal(t, root, d.Mount("localhost/rpm:1"), treediff.Options{SkipXattr: droppedByPodman})
	})
	t.Run("components", func(t *testing.T) {
		var got []string
		for _, l := range clients.ReadImage(t, archive).Manifest.Layers {
			got = append(got, strings.Split(l.Annotations["org.chunkah.component"], ", ")...)
		}
		for _, want := range []string{"rpm/filesystem", "rpm/runtime", "rpm/tools", "rpm/extra", "xattr/web"} {
			if !slices.Contains(got, want) {
				t.Errorf("no layer has the component %s: %q", want, got)
			}
		}
		if slices.Contains(got, "rpm/runtime-libs") {
			t.Error("runtime-libs is a component of its own, apart from its source package")
		}
	})
}

// checkRPMList checks the output of rpm -qa.
func checkRPMList(t *testing.T, out string) {
	t.Helper()
	var got []string
	for name := range strings.FieldsSeq(out) {
		got = append(got, name[:strings.LastIndex(name, ".")])
	}
	slices.Sort(got)
	if !slices.Equal(got, rpmroot.Packages) {
		t.Errorf("rpm in the container lists %q, want %q", got, rpmroot.Packages)
	}
}

func TestImageOfADebianRoot(t *testing.T) {
	t.Parallel()
	root := debianRoot(t)
	devices := []string{"/dev/console", "/dev/full", "/dev/null", "/dev/ptmx", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"}
	archive := filepath.Join(t.TempDir(), "out.ociarchive")

	t.Run("refused", func(t *testing.T) {
		stderr := fails(t, 1, exec.Command("chunkah", "build", "--rootfs", root, "-o", archive))
		for _, path := range devices {
			if n := countPath(stderr, path); n != 1 {
				t.Errorf("%s is named %d times in\n%s", path, n, stderr)
			}
		}
		if _, err := os.Lstat(archive); err == nil {
			t.Error("there is an archive")
		}
	})
	t.Run("skipped", func(t *testing.T) {
		archive := build(t, root, "--skip-special-files", "--verify")
		treediff.Equal(t, root, clients.TarUnpack(t, archive), treediff.Options{
			SkipXattr: dropped, SkipPath: func(path string) bool { return slices.Contains(devices, path) },
		})
	})
	t.Run("kept", func(t *testing.T) {
		archive := build(t, root, "--keep-special-files", "--verify")
		sameInAllClients(t, root, archive, func(e *clients.Engine, image string) {
			list := e.Run(image, "dpkg", "-l")
			want := clients.Run(t, exec.Command("chroot", root, "dpkg", "-l"))
			if list != want || !strings.Contains(list, "\nii  base-files ") {
				t.Errorf("dpkg -l in the container says\n%s\nwant\n%s", list, want)
			}
		})
	})
}

// countPath counts the lines with exactly this path, quoted or not.
func countPath(text, path string) int {
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\",;", r) })
		for _, word := range words {
			if strings.TrimSuffix(word, ":") == path {
				n++
			}
		}
	}
	return n
}
