package apk

import (
	"strings"
	"testing"

	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/tests/mkroot"
)

// TestPackages checks the data for a bill of materials. A virtual package is only a list of other
// packages.
func TestPackages(t *testing.T) {
	text := packaged("libssl3", "openssl", 1, "usr/lib/libssl.so") + packaged("musl", "musl", 1, "lib/ld") +
		strings.Replace(packaged("gcompat", "", 1, "lib/g"), "L:MIT", "L:NCSA and more", 1) + packaged(".build-deps", "", 1)
	_, outcome := pkgdbtest.Run(t, mkroot.Make(t, file("/lib/apk/db/installed", text)), Repo{})
	pkgdbtest.Equal(t, "packages", pkgdbtest.Packages(outcome.Packages), lines(
		"apk - libssl3 1.2-r3 x86_64 openssl - MIT",
		"apk - musl 1.2-r3 x86_64 - - MIT",
		"apk - gcompat 1.2-r3 x86_64 - - NCSA and more",
		"- - .build-deps - - - - -",
	))
}
