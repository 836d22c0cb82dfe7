package rlang

import (
	"testing"

	"chunkah/lib/repo/places/placestest"
)

// DESCRIPTION contains the time when a package was published, or at least when it was packaged. The
// field Built, the time of the installation, is not used.
func TestReleases(t *testing.T) {
	r := placestest.New(t)
	install(r, "/lib", "packaged", "Packaged: 2022-02-28 12:00:00 UTC; somebody\n")
	install(r, "/lib", "published", "Packaged: 2022-02-28 12:00:00 UTC; somebody\nDate/Publication: 2022-03-01 12:00:00 UTC\n")
	install(r, "/lib", "neither", "Date: today\nPackaged: \n")
	const want = "r/neither []\nr/packaged [1646049600]\nr/published [1646136000]\n"
	if got := r.Releases(Repo{}, 1_700_000_000); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
