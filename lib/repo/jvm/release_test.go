package jvm

import (
	"testing"

	"chunkah/lib/repo/places/placestest"
)

// A release file contains the date of the version.
func TestReleases(t *testing.T) {
	r := placestest.New(t)
	for name, line := range map[string]string{"a": "JAVA_VERSION_DATE=\"2022-02-28\"\n", "b": ""} {
		r.File("/opt/"+name+"/j/release", "IMPLEMENTOR=\""+name+"\"\nJAVA_VERSION=\"21.0.1\"\n"+line).File("/opt/"+name+"/j/bin/java", "")
	}
	const want = "jvm/a-21 [1646006400]\njvm/b-21 []\n"
	if got := r.Releases(Repo{}, 1_700_000_000); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
