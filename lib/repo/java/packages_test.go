package java

import (
	"archive/zip"
	"testing"

	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/lib/repo/places/placestest"
)

// TestPackages checks the data for a bill of materials: an archive and the artifacts merged into
// it.
func TestPackages(t *testing.T) {
	r := placestest.New(t)
	r.File("/a-2.0.jar", jar(t, zip.Deflate, append(pom("guava"), pom("a")...)...))
	r.File("/b-3.1.jar", jar(t, zip.Deflate, manifest, "Implementation-Title: B\nImplementation-Version: 3\n"))
	r.File("/c-4-RC1.jar", "")
	pkgdbtest.Equal(t, "packages", pkgdbtest.Packages(r.Assign(Repo{}).Packages), pkgdbtest.Lines(
		"maven org.x a 1.0 - - - -", "maven org.x guava 1.0 - - - -", "maven - B 3 - - - -", "maven - c 4-RC1 - - - -",
	))
}
