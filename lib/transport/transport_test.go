package transport

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/image"
	"chunkah/tests/bound"
)

func TestParseSource(t *testing.T) {
	const hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for in, want := range map[string]image.Location{
		"root":                        {Transport: Directory, Path: "root"},
		"/a:b":                        {Transport: Directory, Path: "/a:b"},
		"./a:b":                       {Transport: Directory, Path: "./a:b"},
		"dir:a:b":                     {Transport: Directory, Path: "a:b"},
		"oci:dir":                     {Transport: Layout, Path: "dir"},
		"oci:/dir:localhost/a:1":      {Transport: Layout, Path: "/dir", Ref: "localhost/a:1"},
		"oci:dir:@sha256:" + hex:      {Transport: Layout, Path: "dir", Ref: "@sha256:" + hex},
		"oci-archive:x.tar":           {Transport: Archive, Path: "x.tar"},
		"oci-archive:-":               {Transport: Archive, Path: "/dev/stdin"},
		"docker-archive:-:a:1":        {Transport: DockerArchive, Path: "/dev/stdin", Ref: "a:1"},
		"oci:-":                       {Transport: Layout, Path: "-"},
		"docker-archive:x.tar:a:1":    {Transport: DockerArchive, Path: "x.tar", Ref: "a:1"},
		"tar:a:b.tar":                 {Transport: RootTar, Path: "a:b.tar"},
		"tar:-":                       {Transport: RootTar, Path: "/dev/stdin"},
		"containers-storage:a:1":      {Transport: Storage, Ref: "a:1"},
		"docker-daemon:sha256:" + hex: {Transport: Daemon, Ref: "sha256:" + hex},
		"containers-storage:[overlay@/s+/r]a@sha256:" + hex: {Transport: Storage, Ref: "[overlay@/s+/r]a@sha256:" + hex},
		"docker://registry.example/a:1":                     {Transport: Registry, Ref: "registry.example/a:1"},
		"docker://localhost:5000/a@sha256:" + hex:           {Transport: Registry, Ref: "localhost:5000/a@sha256:" + hex},
	} {
		got, err := ParseSource(in)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v", in, got, err)
		}
		if again, err := ParseSource(got.String()); err != nil || again != got {
			t.Errorf("%q: %q is %+v, %v", in, got, again, err)
		}
	}
	for in, want := range map[string]string{
		"":                          "source is empty",
		"oci:":                      `source "oci:" has no path`,
		"oci::a":                    "has no path",
		"oci:dir:":                  "has no name after the colon",
		"docker://":                 "has no name after the colon",
		"dir:":                      "has no path",
		"a\x00b":                    "contains a NUL",
		"docker:x":                  "docker://x is an image in a registry",
		"ostree:x":                  `unknown transport "ostree"`,
		"containers-storage:[/a":    "has \"[\" without \"]\"",
		"docker-daemon:App":         "upper-case",
		"tar:":                      "has no path",
		"a:b":                       "./a:b is the directory with this name",
		"oci:dir:a@sha256:1":        `has the digest "sha256:1"`,
		"docker://a@md5:" + hex:     `has the digest "md5:`,
		"docker://registry.example": `source "docker://registry.example": image reference "registry.example" contains a registry`,
		"https://registry.example":  `unknown transport "https"`,
	} {
		if got, err := ParseSource(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, %v, want %q", in, got, err, want)
		}
	}
}

func TestParseDestination(t *testing.T) {
	const hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for in, want := range map[string]image.Location{
		"out.ociarchive":               {Transport: Archive, Path: "out.ociarchive"},
		"/a:b":                         {Transport: Archive, Path: "/a:b"},
		"./a:b":                        {Transport: Archive, Path: "./a:b"},
		"dir/oci:x":                    {Transport: Archive, Path: "dir/oci:x"},
		"1:2":                          {Transport: Archive, Path: "1:2"},
		"-":                            {Transport: Archive, Path: "-"},
		"oci-archive:-":                {Transport: Archive, Path: "-"},
		"oci-archive:-:a":              {Transport: Archive, Path: "-", Ref: "a"},
		"oci-archive:./-":              {Transport: Archive, Path: "./-"},
		"oci-archive:/dev/stdout:a":    {Transport: Archive, Path: "/dev/stdout", Ref: "a"},
		"oci-archive:o:localhost/a:1":  {Transport: Archive, Path: "o", Ref: "localhost/a:1"},
		"docker-archive:o":             {Transport: DockerArchive, Path: "o"},
		"docker-archive:-":             {Transport: DockerArchive, Path: "-"},
		"docker-archive:/o:a.b:80/c:1": {Transport: DockerArchive, Path: "/o", Ref: "a.b:80/c:1"},
		"oci:dir":                      {Transport: Layout, Path: "dir"},
		"oci:-":                        {Transport: Layout, Path: "-"},
		"oci:/x/dir:V1":                {Transport: Layout, Path: "/x/dir", Ref: "V1"},
		"oci:dir:localhost:5000/a/b:1": {Transport: Layout, Path: "dir", Ref: "localhost:5000/a/b:1"},
		"docker://registry.example/x":  {Transport: Registry, Ref: "registry.example/x"},
		"containers-storage:x":         {Transport: Storage, Ref: "x"},
		"containers-storage:[overlay@/s+/r]localhost/x:1": {Transport: Storage, Ref: "[overlay@/s+/r]localhost/x:1"},
	} {
		if got, err := ParseDestination(in); err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"":                                   "destination is empty",
		"oci:":                               "has no path",
		"oci-archive::x":                     "has no path",
		"oci:dir:":                           "has no name after the colon",
		"oci:dir:a b":                        `invalid reference "a b"`,
		"docker-archive:x:V1":                `upper-case letters in "V1"`,
		"docker-archive::x":                  "has no path",
		"docker:x":                           "docker://x is an image in a registry",
		"docker://":                          "has no name after the colon",
		"containers-storage:x@sha256:" + hex: "contains a digest",
		"containers-storage:[/s]X":           "upper-case",
		"containers-storage:[s]x":            "absolute path",
		"sif:x":                              "expected oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF], containers-storage:NAME, docker-daemon:NAME, docker://REF, a plain PATH, or -",
		"https://registry.example/x":         `unknown transport "https"`,
		"dir:x":                              "skopeo copy oci:DIR dir:x",
		"docker://registry.example":          "contains a registry but no image name",
		"oci-archve:x":                       "./oci-archve:x is the file with this name",
		"a\x00":                              "NUL",
	} {
		if got, err := ParseDestination(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, error %v; want one with %q", in, got, err, want)
		}
	}
}

// Every transport sets all fields that callers and users need.
func TestAll(t *testing.T) {
	for i, tr := range All {
		if !strings.HasPrefix(tr.Form, tr.Prefix) || tr.Form == tr.Prefix {
			t.Errorf("%q has the form %q", tr.Prefix, tr.Form)
		}
		if tr.IsDestination() != (tr.Purpose != "") {
			t.Errorf("%q has the purpose %q", tr.Prefix, tr.Purpose)
		}
		if (tr.Syntax != image.PathOnly) != (tr.CheckRef != nil) || tr.File && tr.Syntax == image.RefOnly {
			t.Errorf("%q has a REF that nothing checks, or a file without a path", tr.Prefix)
		}
		if !HasTransport(tr.Prefix + "x") {
			t.Errorf("%q is not known", tr.Prefix)
		}
		for _, other := range All[:i] {
			if strings.HasPrefix(tr.Prefix, other.Prefix) || strings.HasPrefix(other.Prefix, tr.Prefix) {
				t.Errorf("%q and %q cannot be distinguished", tr.Prefix, other.Prefix)
			}
		}
	}
	for _, name := range []string{"containers-storage:x", "docker-daemon:x:1", "docker:x"} {
		if !HasTransport(name) {
			t.Errorf("%q has no transport", name)
		}
	}
	for _, name := range []string{"root", "./oci:x", "oci", "app:1"} {
		if HasTransport(name) {
			t.Errorf("%q has a transport", name)
		}
	}
}

// Any name is either refused with an error that contains the name, or is unchanged after parsing
// and formatting. The same applies to its form with a digest.
func FuzzNames(f *testing.F) {
	zeros := digest.Digest("sha256:" + strings.Repeat("0", 64))
	for _, s := range []string{
		"root", "./a:b", "dir:a:b", "oci:dir:localhost/a:1", "oci:dir:@" + zeros.String(), "docker://localhost:5000/a:1@" + zeros.String(),
		"docker:x", "a:b", "-", "docker-archive:-:app:1", "oci-archive:p", "docker://registry.example/a",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		bound.Input(t, len(s))
		src, err := ParseSource(s)
		if err != nil && !strings.Contains(err.Error(), "source ") {
			t.Errorf("the error names nothing: %v", err)
		}
		if err == nil {
			if again, err := ParseSource(src.String()); err != nil || again != src {
				t.Errorf("%q is %+v, which reads as %+v, %v", s, src, again, err)
			}
			if src.IsImage() {
				img := image.Assemble(src, nil, nil)
				img.Manifest.Descriptor.Digest, img.Config.Descriptor.Digest = zeros, zeros
				if again, err := ParseSource(img.Pinned()); err != nil || again.Transport != src.Transport || !strings.HasSuffix(again.Ref, "@"+zeros.String()) {
					t.Errorf("%q is pinned as %q, which reads as %+v, %v", s, img.Pinned(), again, err)
				}
			}
		}
		to, err := ParseDestination(s)
		if err != nil && !strings.Contains(err.Error(), "destination") {
			t.Errorf("the error names nothing: %v", err)
		}
		if err == nil && (to.Create == nil || (to.Path == "") != (to.Syntax == image.RefOnly)) {
			t.Errorf("%q goes to %+v", s, to)
		}
	})
}
