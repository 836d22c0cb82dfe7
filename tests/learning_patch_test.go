package tests

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/plan"
	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// learnedIn returns the surprises that an image's history records, by component. If a component is
// in several layers, the record of the uppermost layer is used.
func learnedIn(t *testing.T, archive string) map[string]uint32 {
	t.Helper()
	surprises := map[string]uint32{}
	for _, h := range clients.ReadImage(t, archive).Config.History {
		var record struct{ Layer plannedLayer }
		if err := json.Unmarshal([]byte(h.Comment), &record); err != nil {
			t.Fatalf("%s: %v", h.Comment, err)
		}
		for i, name := range record.Layer.Components {
			if delete(surprises, name); len(record.Layer.Surprises) > 0 && record.Layer.Surprises[i] != 0 {
				surprises[name] = record.Layer.Surprises[i]
			}
		}
	}
	return surprises
}

// In a chain of images with patch layers, most components are only in kept layers. Each image still
// records the same data about each component as without --max-stale: how often the component
// changes unexpectedly, and that it has stopped changing. The removal of a file also counts as a
// change.
func TestLearningWithPatchLayers(t *testing.T) {
	clients.Need(t, "setfattr")
	t.Parallel()
	var spec strings.Builder
	for i := range 20 {
		fmt.Fprintf(&spec, "file /srv/c%02d/data size=%d xattr:user.component=c%02d\nfile /srv/c%02d/more size=5000 xattr:user.component=c%02d\n", i, 20_000+100*i, i, i, i)
	}
	root := mkroot.Make(t, spec.String())
	write := func(component, n int) {
		t.Helper()
		put(t, root, fmt.Sprintf("srv/c%02d/more", component), strings.Repeat(fmt.Sprintf("%04d", n), 1_250))
	}
	common := []string{"--config-str", "{}", "--max", "12"}
	file := filepath.Join(t.TempDir(), "plan")
	ordinary := build(t, root, common...)
	patches := ordinary
	const images = 12
	for n := range images {
		write(7, n)
		if n < 3 {
			write(5, n)
		}
		if n == 4 {
			if err := os.Remove(filepath.Join(root, "srv/c11/more")); err != nil {
				t.Fatal(err)
			}
		}
		last := patches
		args := append(slices.Clone(common), "--previous", last, "--max-stale", "10%")
		ordinary = build(t, root, append(common, "--previous", ordinary)...)
		patches = build(t, root, append(args, "--plan", file)...)
		kept := keptLayers(t, last, patches)
		if kept < 8 {
			t.Errorf("image %d keeps %d layers", n, kept)
		}
		want, got := learnedIn(t, ordinary), learnedIn(t, patches)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("image %d has learned %v, and %v without patch layers", n, got, want)
		}
		if got := learnedInPlan(t, file); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the plan of image %d has learned %v, and %v without patch layers", n, got, want)
		}
		piped := filepath.Join(t.TempDir(), "piped")
		line := `chunkah-scan "$1" | chunkah-assign | chunkah-pack --max 12 --previous "$2" --max-stale 10% | chunkah-write --config-str {} -o "$3"`
		clients.Run(t, exec.Command("bash", "-o", "pipefail", "-c", line, "-", root, last, piped))
		sameBytes(t, patches, piped)
	}
	got := learnedIn(t, patches)
	for component, want := range map[string]uint32{"xattr/c07": 1<<images - 1, "xattr/c05": 0b111 << (images - 3), "xattr/c11": 1 << (images - 5)} {
		if got[component] != want {
			t.Errorf("the surprises of %s are %b, want %b (%d images)", component, got[component], want, bits.Len32(want))
		}
	}
	again := build(t, root, append(common, "--previous", patches, "--max-stale", "10%")...)
	if was, is := clients.ReadImage(t, patches).ManifestDigest, clients.ReadImage(t, again).ManifestDigest; was != is {
		t.Errorf("the image is %s, and %s if it is built again", was, is)
	}
	clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, "oci-archive:"+patches))
}

// keptLayers counts the layers of an image that the next image also contains.
func keptLayers(t *testing.T, last, next string) (n int) {
	t.Helper()
	before := clients.ReadImage(t, last).Config.RootFS.DiffIDs
	for _, id := range clients.ReadImage(t, next).Config.RootFS.DiffIDs {
		if slices.Contains(before, id) {
			n++
		}
	}
	return n
}

// learnedInPlan returns the same data as learnedIn, but from a file written by --plan.
func learnedInPlan(t *testing.T, name string) map[string]uint32 {
	t.Helper()
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	prev, note, err := plan.Read(in, name)
	if err != nil || note != "" {
		t.Fatalf("%s, %v", note, err)
	}
	surprises := map[string]uint32{}
	for component, l := range prev.Learned {
		if l.Surprises != 0 && component != format.Deletions {
			surprises[component] = uint32(l.Surprises)
		}
	}
	return surprises
}
