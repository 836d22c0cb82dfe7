package dpkg

import (
	"testing"

	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/tests/mkroot"
)

// TestPackages checks the data for a bill of materials. A removed package leaves only configuration
// files, and a package can be installed for two architectures.
func TestPackages(t *testing.T) {
	_, outcome := pkgdbtest.Run(t, mkroot.Make(t, root(
		deb{name: "libc6", fields: "Source: glibc\nMulti-Arch: same\n", list: "/lib/a", arch: "amd64"},
		deb{name: "libc6", fields: "Source: glibc\nMulti-Arch: same\n", list: "/lib/b", arch: "i386"},
		deb{name: "rebuilt", fields: "Source: origin (0.9)\n", list: "/usr/r"},
		deb{name: "gone", status: "deinstall ok config-files", list: "/etc/g"},
		deb{name: "half", status: "install ok half-configured", list: "/usr/h"},
	)), Repo{})
	pkgdbtest.Equal(t, "packages", pkgdbtest.Packages(outcome.Packages), pkgdbtest.Lines(
		"- - gone - - - - -",
		"deb - half 1 amd64 - - -",
		"deb - libc6 1 amd64 glibc - -",
		"deb - libc6 1 i386 glibc - -",
		"deb - rebuilt 1 amd64 origin 0.9 -",
	))
}
