package ruby

import (
	"strings"
	"testing"

	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/lib/repo/places/placestest"
)

// TestPackages checks the data for a bill of materials. It contains each version. If a
// specification is broken, the version is taken from its file name.
func TestPackages(t *testing.T) {
	r := placestest.New(t)
	for _, version := range []string{"1.14.0", "1.15.0"} {
		text := strings.Replace(specification("nokogiri", version, "x86_64-linux", ""), "  s.files", `  s.licenses = ["MIT".freeze, "Ruby".freeze]`+"\n  s.files", 1)
		r.File(home+"/specifications/nokogiri-"+version+"-x86_64-linux.gemspec", text)
	}
	r.File(home+"/specifications/broken-3.0.gemspec", "")
	pkgdbtest.Equal(t, "packages", pkgdbtest.Packages(r.Assign(Repo{}).Packages), pkgdbtest.Lines(
		"gem - broken 3.0 - - - -",
		"gem - nokogiri 1.14.0 - - - MIT AND Ruby",
		"gem - nokogiri 1.15.0 - - - MIT AND Ruby",
	))
}
