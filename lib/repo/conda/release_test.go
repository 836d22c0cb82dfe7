package conda

import (
	"testing"

	"chunkah/lib/repo/places/placestest"
)

// A record contains the build time, in milliseconds or in seconds.
func TestReleases(t *testing.T) {
	r := placestest.New(t)
	for name, timestamp := range map[string]string{"millis": "1650000000123", "seconds": "1600000000", "none": "null", "text": `"now"`, "later": "1800000000000"} {
		r.File("/opt/conda/conda-meta/"+name+"-1-0.json", `{"name": "`+name+`", "timestamp": `+timestamp+`}`)
	}
	const want = "conda/later []\nconda/millis [1650000000]\nconda/none []\nconda/seconds [1600000000]\nconda/text []\n"
	if got := r.Releases(Repo{}, 1_700_000_000); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
