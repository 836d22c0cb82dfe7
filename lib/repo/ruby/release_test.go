package ruby

import (
	"testing"

	"chunkah/lib/repo/places/placestest"
)

// A specification contains the date of the release. For reproducible builds, RubyGems writes a date
// in 1980.
func TestReleases(t *testing.T) {
	r := placestest.New(t)
	for name, date := range map[string]string{"rake": "2022-02-28", "zip": "1980-01-02", "bad": "tomorrow"} {
		r.File("/gems/specifications/"+name+"-1.0.gemspec", "# stub: "+name+" 1.0 ruby lib\n  s.date = \""+date+"\".freeze\n")
	}
	const want = "ruby/bad []\nruby/rake [1646006400]\nruby/zip []\n"
	if got := r.Releases(Repo{}, 1_700_000_000); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
