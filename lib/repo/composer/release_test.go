package composer

import (
	"testing"

	"chunkah/lib/repo/places"
	"chunkah/lib/repo/places/placestest"
)

// installed.json contains the time of each release.
func TestReleases(t *testing.T) {
	r := placestest.New(t)
	r.File("/app/vendor/composer/installed.json", `{"packages": [
		{"name": "a/one", "time": "2022-02-28T12:00:00+00:00", "install-path": "../a/one"},
		{"name": "a/two", "time": "2021-02-28 12:00:00", "install-path": "../a/two"},
		{"name": "a/three", "time": ["2022"], "install-path": "../a/three"}]}`)
	for _, name := range []string{"one", "two", "three"} {
		r.Sparse("/app/vendor/a/"+name+"/x.php", places.Least)
	}
	const want = "composer/a/one [1646049600]\ncomposer/a/two [1614513600]\ncomposer/a/three []\n"
	if got := r.Releases(Repo{}, 1_700_000_000); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
