package doctor

import (
	"slices"
	"testing"

	"chunkah/lib/patch"
)

// Removed files with the name of a secret are found, and others are not.
func TestRemovedFiles(t *testing.T) {
	var removed []patch.Removed
	for _, p := range []string{"/root/.ssh/id_ed25519", "/usr/share/doc/a", "/etc/app/API-Token", "/root/.docker/config.json", "/etc/config.json", "/usr/bin/key"} {
		removed = append(removed, patch.Removed{Path: p, Size: 10})
	}
	list := New(Options{Removed: removed}).Findings()
	if len(list) != 1 || list[0].ID != "removed-files" || list[0].Harm != HarmSecret || list[0].Files != 3 || list[0].Bytes != 30 || list[0].Advice == "" {
		t.Fatalf("got %+v", list)
	}
	var got []string
	for _, p := range list[0].Places {
		got = append(got, p.Path)
	}
	if want := []string{"/etc/app/API-Token", "/root/.docker/config.json", "/root/.ssh/id_ed25519"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if list := New(Options{Removed: removed, Ignore: []ID{"removed-files"}}).Findings(); len(list) > 0 {
		t.Errorf("ignored: %+v", list)
	}
	if list := New(Options{Removed: removed[1:2]}).Findings(); len(list) > 0 {
		t.Errorf("no secret: %+v", list)
	}
}
