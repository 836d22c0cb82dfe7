package alpm

import (
	"strings"
	"testing"

	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/tests/mkroot"
)

// TestPackages checks the data for a bill of materials. All listed licences apply.
func TestPackages(t *testing.T) {
	text := root(pack{name: "gcc-libs", base: "gcc", built: 1}, pack{name: "zlib", base: "zlib", built: 1})
	text = strings.Replace(text, `%ARCH%\n`, `%LICENSE%\nGPL-3.0-or-later\nMIT\n\n%ARCH%\n`, 1)
	_, outcome := pkgdbtest.Run(t, mkroot.Make(t, text), Repo{})
	pkgdbtest.Equal(t, "packages", pkgdbtest.Packages(outcome.Packages), lines(
		"alpm - gcc-libs 1.0-2 x86_64 gcc - GPL-3.0-or-later AND MIT",
		"alpm - zlib 1.0-2 x86_64 - - -",
	))
}
