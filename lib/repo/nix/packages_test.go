package nix

import (
	"strings"
	"testing"

	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/tests/mkroot"
)

// TestPackages checks the data for a bill of materials. A store path without a version is not a
// package.
func TestPackages(t *testing.T) {
	text := strings.ReplaceAll("dir /nix/store/H-glibc-2.38-44\nfile /nix/store/H-script.sh\nfile /nix/store/H-x-1.drv\n", "H", hashA)
	_, outcome := pkgdbtest.Run(t, mkroot.Make(t, text), Repo{})
	pkgdbtest.Equal(t, "packages", pkgdbtest.Packages(outcome.Packages), pkgdbtest.Lines(
		"generic - glibc 2.38-44 - - - -", "- - script.sh - - - - -", "- - x-1.drv - - - - -",
	))
}
