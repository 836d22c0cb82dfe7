package oci

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/tests/bound"
)

// FuzzMergedIndex adds an image to a layout with an arbitrary index.json. Either the index is
// refused, both before and after the blobs are written, or the result lists the image once and
// keeps the other entries.
func FuzzMergedIndex(f *testing.F) {
	ours := digest.FromString("ours")
	for _, seed := range []struct{ index, ref string }{
		{`{"schemaVersion":2,"manifests":[{"digest":"a","annotations":{"` + annotationRefName + `":"x"}},{"digest":"b"}],"k":1e3}`, "x"},
		{`{"manifests":[{"digest":"a"}]}`, ""},
		{`{"manifests":null}`, "y"},
		{`{"manifests":[null,{},7]}`, "x"},
		{`{"Manifests":[{"digest":"a"}],"manifests":[],"manifests":[{}]}`, ""},
		{`[]`, "x"},
	} {
		f.Add([]byte(seed.index), seed.ref)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, old []byte, ref string) {
		bound.Input(t, len(old)+len(ref))
		if err := os.WriteFile(filepath.Join(dir, v1.ImageIndexFile), old, 0o600); err != nil {
			t.Fatal(err)
		}
		added, err := canonical(v1.Index{Manifests: []v1.Descriptor{{Digest: ours, Annotations: refAnnotations(ref)}}})
		if err != nil {
			t.Fatal(err)
		}
		_, early := mergedIndex(dir, nil, ref)
		merged, err := mergedIndex(dir, added, ref)
		if (early == nil) != (err == nil) {
			t.Fatalf("before the work: %v, and after it: %v", early, err)
		}
		if err != nil {
			if !strings.Contains(err.Error(), v1.ImageIndexFile) && !strings.Contains(err.Error(), "images: name the one") {
				t.Errorf("the error names nothing: %v", err)
			}
			return
		}
		if err := CheckJSON(merged); err != nil {
			t.Fatalf("%v in %s", err, merged)
		}
		var before, after v1.Index
		if err := json.Unmarshal(merged, &after); err != nil {
			return // the descriptors of other images are not checked
		}
		if n := len(after.Manifests); n == 0 || after.Manifests[n-1].Digest != ours {
			t.Fatalf("the image is not in %s", merged)
		}
		if json.Unmarshal(old, &before) == nil && len(after.Manifests) > len(before.Manifests)+1 {
			t.Fatalf("%d images and one more are %d", len(before.Manifests), len(after.Manifests))
		}
	})
}

// FuzzJSON checks that JSON accepted by CheckJSON has one meaning and a stable canonical form.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"a":2}],"b":{"a":null}}`, `{"a":1,"\u0061":2}`, "[1e400]\n", `"\ud800"`, "{\"\xff\":1}", "[[[[", "1 2"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		bound.Input(t, len(data))
		err := CheckJSON(data)
		if good := json.Valid(data) && utf8.Valid(data); err == nil && !good || err != nil && good && !strings.Contains(err.Error(), "twice") {
			t.Fatalf("got %v of %q", err, data)
		}
		if err != nil {
			return
		}
		once, err := canonical(json.RawMessage(data))
		if err != nil {
			t.Fatal(err)
		}
		again, err := canonical(json.RawMessage(once))
		if err != nil || !bytes.Equal(once, again) || CheckJSON(once) != nil {
			t.Fatalf("%s becomes %s, and that %s: %v", data, once, again, err)
		}
	})
}

// FuzzNames parses names of images and architectures.
func FuzzNames(f *testing.F) {
	for _, s := range []string{
		"app", "app:1", "localhost/app:1", "registry.example:5000/a/b__c:t", "[::1]:5/a", "a@sha256:0", "oci:path:name", "docker-archive:-:app:1",
		"docker://registry.example/a", "oci-archive:p", "./a:b", "dir:x", "linux/arm64/v8", "x86_64", "armhf", "-", "A=1", "k-", "é=",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		bound.Input(t, len(s))
		if CheckTag(s) == nil {
			whole := dockerName(s)
			if err := CheckTag(whole); err != nil && len(s) < 200 {
				t.Errorf("%q is %q in full: %v", s, whole, err)
			}
			if again := dockerName(whole); again != whole {
				t.Errorf("%q is %q in full, and that %q", s, whole, again)
			}
			if CheckRefName(s) != nil {
				t.Errorf("%q names an image, and cannot stand in an index", s)
			}
		}
		if arch, variant, err := ParseArch(s); err == nil {
			again, same, err := ParseArch(strings.TrimSuffix(arch+"/"+variant, "/"))
			if err != nil || again != arch || same != variant {
				t.Errorf("%q is %q %q, and that is %q %q: %v", s, arch, variant, again, same, err)
			}
		}
		c := &Config{Labels: map[string]string{"k": "v"}}
		if err := c.EditLabels(strings.Split(s, ",")); err != nil && len(c.Labels) != 1 {
			t.Errorf("%q: %v, and there are %v", s, err, c.Labels)
		} else if slices.ContainsFunc(sortedKeys(c.Labels), func(key string) bool { return key == "" || !utf8.ValidString(key) }) {
			t.Errorf("%q makes %v", s, c.Labels)
		}
	})
}
