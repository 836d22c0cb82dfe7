package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/image"
	"chunkah/lib/transport"
	mk "chunkah/tests/mkimage"
)

// parts are the parts of an image that a test can damage. If a test changes a document, the digests
// in the documents above are updated.
type parts struct {
	tars     [][]byte
	blobs    [][]byte // if they differ from the tars
	config   func(m document)
	manifest func(m document)
	index    func(m document)
	files    func(files map[string][]byte)
}

type document = map[string]any

func at(v any, keys ...any) any {
	for _, k := range keys {
		switch k := k.(type) {
		case string:
			v = v.(document)[k]
		case int:
			v = v.([]any)[k]
		}
	}
	return v
}

func decode(t *testing.T, text string) document {
	t.Helper()
	var m document
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

func encode(t *testing.T, m document) []byte {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func descriptor(mediaType string, data []byte) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, digest.FromBytes(data), len(data))
}

func own(t *testing.T, entries ...mk.Entry) []byte { return mk.Tar(t, entries...) }

func goodTars(t *testing.T) [][]byte {
	return [][]byte{
		own(t, mk.Dir("./"), mk.Dir("a/"), mk.File("a/f", "f"), mk.Link("a/g", "a/f"), mk.Symlink("l", "a")),
		own(t, mk.Dir("a/"), mk.File("a/.wh.f", ""), mk.File("b", "b")),
	}
}

// put puts an image together, as a layout.
func put(t *testing.T, p parts) mk.Files {
	t.Helper()
	if p.tars == nil {
		p.tars = goodTars(t)
	}
	files := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	add := func(data []byte) { files["blobs/sha256/"+digest.FromBytes(data).Encoded()] = data }
	var layers, diffIDs, histories []string
	for i, tar := range p.tars {
		blob := tar
		if p.blobs != nil {
			blob = p.blobs[i]
		}
		add(blob)
		layers = append(layers, descriptor("application/vnd.oci.image.layer.v1.tar", blob))
		diffIDs = append(diffIDs, fmt.Sprintf("%q", digest.FromBytes(tar)))
		histories = append(histories, `{"created":"2026-01-02T03:04:05Z","created_by":"chunkah"}`)
	}
	config := decode(t, fmt.Sprintf(`{"created":"2026-01-02T03:04:05Z","architecture":"amd64","os":"linux","config":{"Env":["A=1"]},
		"rootfs":{"type":"layers","diff_ids":[%s]},"history":[%s]}`, strings.Join(diffIDs, ","), strings.Join(histories, ",")))
	change(p.config, config)
	data := encode(t, config)
	add(data)
	manifest := decode(t, fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s],"annotations":{"k":"v"}}`,
		descriptor("application/vnd.oci.image.config.v1+json", data), strings.Join(layers, ",")))
	change(p.manifest, manifest)
	data = encode(t, manifest)
	add(data)
	index := decode(t, fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}`,
		descriptor("application/vnd.oci.image.manifest.v1+json", data)))
	index["manifests"].([]any)[0].(document)["platform"] = document{"architecture": "amd64", "os": "linux"}
	change(p.index, index)
	files["index.json"] = encode(t, index)
	if p.files != nil {
		p.files(files)
	}
	var list mk.Files
	for name, data := range files {
		list = append(list, mk.NamedFile{Name: name, Data: data})
	}
	return list
}

func change(f func(document), m document) {
	if f != nil {
		f(m)
	}
}

// verify verifies an image as a layout and as an archive, which have the same faults.
func verify(t *testing.T, p parts) *Report {
	t.Helper()
	files := put(t, p)
	var reports []*Report
	for kind, path := range map[*image.Transport]string{transport.Layout: files.WriteFolder(t), transport.Archive: files.WriteArchive(t)} {
		r, err := Run(context.Background(), image.Location{Transport: kind, Path: path}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
	}
	// A layout's error contains the path of the missing file.
	if got, want := len(reports[0].Faults), len(reports[1].Faults); got != want {
		t.Errorf("%d and %d faults: %v and %v", got, want, reports[0].Faults, reports[1].Faults)
	}
	return reports[0]
}

// flip replaces a string with another string of equal length, in the only blob that contains it.
func flip(t *testing.T, from, to string) func(map[string][]byte) {
	return func(files map[string][]byte) {
		for name, data := range files {
			if strings.HasPrefix(name, "blobs/") && bytes.Contains(data, []byte(from)) {
				files[name] = bytes.Replace(data, []byte(from), []byte(to), 1)
				return
			}
		}
		t.Errorf("no blob contains %q", from)
	}
}

func without(key string, keys ...any) func(document) {
	return func(m document) { delete(at(m, keys...).(document), key) }
}

func set(value any, key string, keys ...any) func(document) {
	return func(m document) { at(m, keys...).(document)[key] = value }
}

// again lists an index's manifest a second time, after a change.
func again(change func(document)) func(document) {
	return func(index document) {
		list := at(index, "manifests").([]any)
		d := maps.Clone(list[0].(document))
		change(d)
		index["manifests"] = append(list, d)
	}
}
