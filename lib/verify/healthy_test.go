package verify

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/transport"
	mk "chunkah/tests/mkimage"
)

// addJSON adds a JSON document to the blobs.
func addJSON(t *testing.T, blobs mk.Blobs, mediaType string, v document) v1.Descriptor {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return blobs.Add(mediaType, data)
}

// artifact adds a manifest that is not an image.
func artifact(t *testing.T, blobs mk.Blobs, config, layer string) v1.Descriptor {
	t.Helper()
	return addJSON(t, blobs, v1.MediaTypeImageManifest, document{
		"schemaVersion": 2, "mediaType": v1.MediaTypeImageManifest,
		"config": addJSON(t, blobs, config, document{"rootfs": document{"type": "layers", "diff_ids": []string{digest.FromString("x").String()}}}),
		"layers": []v1.Descriptor{blobs.Add(layer, []byte("of "+config+layer))},
	})
}

// beside returns descriptors of everything that public indexes list besides Linux images.
func beside(t *testing.T, blobs mk.Blobs) map[string]v1.Descriptor {
	t.Helper()
	windows := (&mk.Image{Layers: []mk.Layer{{Tar: mk.Tar(t, mk.Dir("Files"), mk.File("UtilityVM/a", "a"))}}})
	config := document{}
	if err := json.Unmarshal(windows.Config(), &config); err != nil {
		t.Fatal(err)
	}
	config["os"], config["os.version"] = "windows", "10.0.20348.1"
	foreign := v1.Descriptor{
		MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Digest: digest.FromString("elsewhere"), Size: 9, URLs: []string{"https://example.org/layer"},
	}
	layer := blobs.Add("application/vnd.docker.image.rootfs.diff.tar.gzip", []byte("a layer of Windows"))
	win := addJSON(t, blobs, "application/vnd.docker.distribution.manifest.v2+json", document{
		"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
		"config": addJSON(t, blobs, "application/vnd.docker.container.image.v1+json", config), "layers": []v1.Descriptor{foreign},
	})
	win.Platform = &v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1"}
	config["rootfs"].(document)["diff_ids"] = []string{digest.FromString("x").String()}
	whole := addJSON(t, blobs, v1.MediaTypeImageManifest, document{
		"schemaVersion": 2, "mediaType": v1.MediaTypeImageManifest,
		"config": addJSON(t, blobs, v1.MediaTypeImageConfig, config), "layers": []v1.Descriptor{layer},
	})
	whole.Platform = &v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.1"}
	attestation := artifact(t, blobs, v1.MediaTypeImageConfig, "application/vnd.in-toto+json")
	attestation.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	attestation.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	old := addJSON(t, blobs, "application/vnd.oci.artifact.manifest.v1+json", document{
		"mediaType": "application/vnd.oci.artifact.manifest.v1+json", "artifactType": "application/vnd.example",
		"blobs": []v1.Descriptor{blobs.Add("application/octet-stream", []byte("of an artifact"))},
	})
	return map[string]v1.Descriptor{
		"an image of Windows":       win,
		"a newer image of Windows":  whole,
		"an attestation":            attestation,
		"an SBOM":                   artifact(t, blobs, "application/vnd.oci.empty.v1+json", "application/spdx+json"),
		"a SOCI index":              artifact(t, blobs, "application/vnd.amazon.soci.index.v1+json", "application/octet-stream"),
		"a CNAB bundle":             artifact(t, blobs, "application/vnd.cnab.config.v1+json", "application/vnd.cnab.bundle.thin.v1-wd+json"),
		"a signature":               artifact(t, blobs, v1.MediaTypeImageConfig, "application/vnd.dev.cosign.simplesigning.v1+json"),
		"an artifact of old":        old,
		"something other than JSON": blobs.Add("application/vnd.example.unknown", []byte("bytes")),
	}
}

// Other entries of an index are not faults if their digests are correct.
func TestOtherIndexEntries(t *testing.T) {
	blobs := mk.Blobs{}
	linux := (&mk.Image{Layers: []mk.Layer{{Tar: own(t, mk.File("a", "a"))}}}).Manifest(t, blobs)
	all := beside(t, blobs)
	run := func(opt Options, list ...v1.Descriptor) (*Report, error) {
		nested := blobs.Add(v1.MediaTypeImageIndex, mk.Index(list...))
		dir := mk.LayoutFiles(blobs, nested).WriteFolder(t)
		return Run(context.Background(), image.Location{Transport: transport.Layout, Path: dir}, opt)
	}
	for name, d := range all {
		r, err := run(Options{}, d, linux)
		if err != nil || len(r.Faults) > 0 {
			t.Errorf("%s: got %+v, %v", name, r, err)
			continue
		}
		if quiet := name == "an attestation"; quiet != (len(r.Notes) == 0) {
			t.Errorf("%s: notes are %v", name, r.Notes)
		}
		r, err = run(Options{Image: image.Options{Platform: "linux/amd64"}}, d, linux)
		if err != nil || len(r.Faults) > 0 || r.Images != 1 {
			t.Errorf("%s, one platform: got %+v, %v", name, r, err)
		}
		size := d
		size.Size++
		if r, err := run(Options{}, size, linux); err != nil || len(r.Faults) == 0 {
			t.Errorf("%s, a wrong size: got %+v, %v", name, r, err)
		}
	}
	if _, err := run(Options{Image: image.Options{Platform: "linux/s390x"}}, linux); err == nil || !strings.Contains(err.Error(), "no image for linux/s390x") {
		t.Errorf("missing platform: %v", err)
	}
	blobs[all["a SOCI index"].Digest] = append(blobs[all["a SOCI index"].Digest], ' ')
	if r, err := run(Options{}, all["a SOCI index"], linux); err != nil || len(r.Faults) == 0 {
		t.Errorf("one more byte: got %+v, %v", r, err)
	}
}

// An index can list platforms that are missing, as written by docker save. An index without any
// existing platform is not an image.
func TestAbsentPlatforms(t *testing.T) {
	blobs := mk.Blobs{}
	amd := (&mk.Image{Layers: []mk.Layer{{Tar: own(t, mk.File("a", "amd"))}}}).Manifest(t, blobs)
	arm := (&mk.Image{Arch: "arm64", Layers: []mk.Layer{{Tar: own(t, mk.File("a", "arm"))}}}).Manifest(t, blobs)
	nested := blobs.Add(v1.MediaTypeImageIndex, mk.Index(amd, arm))
	delete(blobs, arm.Digest)
	run := func(ref string) *Report {
		dir := mk.LayoutFiles(blobs, nested).WriteFolder(t)
		r, err := Run(context.Background(), image.Location{Transport: transport.Layout, Path: dir, Ref: ref}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, ref := range []string{"", "@" + nested.Digest.String()} {
		if r := run(ref); len(r.Faults) > 0 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0].What, `lists images that are missing and were not verified: "linux/arm64"`) {
			t.Errorf("%q: got %+v", ref, r)
		}
	}
	delete(blobs, amd.Digest)
	if r := run(""); len(r.Faults) != 1 || !strings.Contains(r.Faults[0].What, "all listed images are missing") {
		t.Errorf("got %+v", r)
	}
}

// Deviations that other tools write and every client accepts are notes.
func TestHarmlessDeviations(t *testing.T) {
	others := func(more func(document)) func(document) {
		return func(m document) {
			for _, h := range m["history"].([]any) {
				h.(document)["created_by"] = "RUN something"
			}
			if more != nil {
				more(m)
			}
		}
	}
	for name, test := range map[string]struct {
		p    parts
		want string // of the note
	}{
		"history of squashed layers":   {parts{config: others(func(m document) { m["history"] = m["history"].([]any)[:1] })}, "1 in the config's history"},
		"a name twice":                 {parts{config: others(nil), tars: [][]byte{own(t, mk.Dir("d"), mk.File("d/a", ""), mk.Dir("d"), mk.File("d/a", "b"))}}, `"d": duplicate entry (and 1 more)`},
		"another packing than it says": {parts{manifest: set("application/vnd.oci.image.layer.v1.tar+gzip", "mediaType", "layers", 1)}, "is plain, but its media type is"},
		"a variable without a value":   {parts{config: set([]any{"A=1", "B"}, "Env", "config")}, `Env[1] is "B"`},
		"another variant":              {parts{config: set("v6", "variant"), index: set("v7", "variant", "manifests", 0, "platform")}, `variant is "v6", but the index specifies "v7"`},
		"no time":                      {parts{config: set("", "created")}, ""},
		"nulls, as Nix writes them": {parts{
			config:   others(func(m document) { m["config"], m["history"], m["created"], m["author"] = nil, nil, nil, nil }),
			manifest: set(nil, "annotations"), index: set(nil, "annotations"),
		}, ""},
		"unknown keys": {parts{config: set("x", "moby.buildkit.buildinfo.v1"), manifest: set("x", "artifactType")}, ""},
	} {
		r := verify(t, test.p)
		if len(r.Faults) > 0 {
			t.Errorf("%s: got %v", name, r.Faults)
		}
		if test.want == "" && len(r.Notes) > 0 || test.want != "" && (len(r.Notes) != 1 || !strings.Contains(r.Notes[0].String(), test.want)) {
			t.Errorf("%s: notes are %v", name, r.Notes)
		}
	}
}

// An image without layers has no diffIDs, and Docker omits the key.
func TestWithoutLayers(t *testing.T) {
	blobs := mk.Blobs{}
	config := addJSON(t, blobs, v1.MediaTypeImageConfig, document{"architecture": "amd64", "os": "linux", "rootfs": document{"type": "layers"}, "history": []any{document{"created_by": "LABEL a=b", "empty_layer": true}}})
	m := addJSON(t, blobs, v1.MediaTypeImageManifest, document{"schemaVersion": 2, "mediaType": v1.MediaTypeImageManifest, "config": config, "layers": []any{}})
	r, err := Run(context.Background(), image.Location{Transport: transport.Layout, Path: mk.LayoutFiles(blobs, m).WriteFolder(t)}, Options{})
	if err != nil || len(r.Faults)+len(r.Notes) > 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}
