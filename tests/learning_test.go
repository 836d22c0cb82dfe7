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

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// plannedLayer is a layer of a plan.
type plannedLayer struct {
	Index        int
	Components   []string
	Surprises    []uint32
	StabilityPPM int `json:"stability_ppm"`
}

// plannedLayerOf returns the layer with a component, how many layers there are, and the component's
// surprises.
func plannedLayerOf(t *testing.T, plan, component string) (l plannedLayer, layers int, surprises uint32) {
	t.Helper()
	for line := range strings.Lines(plan) {
		var record struct{ Layer plannedLayer }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		layers++
		if i := slices.Index(record.Layer.Components, component); i >= 0 {
			l = record.Layer
			if len(l.Surprises) > 0 {
				surprises = l.Surprises[i]
			}
		}
	}
	return l, layers, surprises
}

// A component that changes in each image, although its history does not contain these updates,
// moves to the top layer and no longer shares this layer with stable components. The data about the
// changes are kept wherever plans are stored.
func TestLearning(t *testing.T) {
	clients.Need(t, "skopeo", "setfattr")
	var spec strings.Builder
	for i := range 30 {
		fmt.Fprintf(&spec, "file /srv/c%02d size=%d xattr:user.component=c%02d\n", i, 10_000+100*i, i)
	}
	root := mkroot.Make(t, spec.String())
	module := filepath.Join(root, "srv/c07")
	plan, archive, _ := planOf(t, root)
	before, _, surprises := plannedLayerOf(t, plan, "xattr/c07")
	if surprises != 0 || len(before.Components) < 2 || before.StabilityPPM < 800_000 {
		t.Fatalf("at first, the component is in %+v", before)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "plan")
	const images = 12
	for n := range images {
		if err := os.WriteFile(module, []byte(strings.Repeat(fmt.Sprintf("%04d", n), 2_700)), 0o644); err != nil {
			t.Fatal(err)
		}
		previous := archive
		switch n % 3 {
		case 1:
			previous = file
			if err := os.WriteFile(file, []byte(plan), 0o644); err != nil {
				t.Fatal(err)
			}
		case 2:
			tar := filepath.Join(dir, fmt.Sprint(n))
			clients.SkopeoCopy(t, "oci-archive:"+archive, "docker-archive:"+tar+":localhost/x:1")
			previous = "docker-archive:" + tar
		}
		plan, archive, _ = planOf(t, root, "--previous", previous)
	}
	after, layers, surprises := plannedLayerOf(t, plan, "xattr/c07")
	if bits.OnesCount32(surprises) != images || bits.Len32(surprises) != images {
		t.Errorf("after %d images, the surprises are %b", images, surprises)
	}
	if after.Index != layers-1 || after.StabilityPPM > 400_000 || len(after.Components) >= len(before.Components) {
		t.Errorf("the component is in %+v of %d layers, and was in %+v", after, layers, before)
	}

	again, _, _ := planOf(t, root, "--previous", archive)
	if again != plan {
		t.Errorf("an image that is built again has the plan\n%s\nwant\n%s", again, plan)
	}
	pure, _, _ := planOf(t, root)
	if _, _, surprises := plannedLayerOf(t, pure, "xattr/c07"); surprises != 0 {
		t.Errorf("without the previous image, the surprises are %b", surprises)
	}

	// A hostile plan cannot change the files of the image.
	hostile := strings.ReplaceAll(plan, `"stability_ppm"`, `"surprises":[4294967296],"stability_ppm"`)
	for _, text := range []string{hostile, allSurprises(t, plan)} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, odd, _ := planOf(t, root, "--previous", file)
		clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, "oci-archive:"+odd))
		clients.Run(t, exec.Command("chunkah", "verify", "oci-archive:"+odd))
	}
}

// allSurprises returns the plan with every component marked as changed in all images.
func allSurprises(t *testing.T, plan string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(plan) {
		var record struct{ Layer map[string]any }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		components, _ := record.Layer["components"].([]any)
		record.Layer["surprises"] = slices.Repeat([]uint32{1<<32 - 1}, len(components))
		data, err := json.Marshal(map[string]any{"layer": record.Layer})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(data, '\n'))
	}
	return out.String()
}
