package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// oddPackages are packages with unusual names, versions and licences, from several databases in one
// root: two architectures of one package, epochs, "~", "+", "@", "/", and bytes that are not UTF-8.
const oddPackages = `
file /etc/os-release text="ID=debian\nVERSION_ID=\"12\"\n"
file /var/lib/dpkg/status text="Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nSource: glibc\nVersion: 2:2.36~rc1+b1\n\nPackage: libc6\nStatus: install ok installed\nArchitecture: i386\nMulti-Arch: same\nSource: glibc\nVersion: 2:2.36~rc1+b1\n\nPackage: libstdc++6\nStatus: install ok installed\nArchitecture: amd64\nSource: gcc-12 (12.2.0-14)\nVersion: 12.2.0-14+deb12u1\n\n"
file /var/lib/dpkg/info/libc6:amd64.list text="/lib64/libc.so\n"
file /var/lib/dpkg/info/libc6:i386.list text="/lib32/libc.so\n"
file /var/lib/dpkg/info/libstdc++6.list text="/lib64/libstdc++.so\n"
file /lib64/libc.so text=a
file /lib32/libc.so text=b
file /lib64/libstdc++.so text=c
file /lib/apk/db/installed text="P:musl\nV:1.2.4_git20230717-r4\nA:x86_64\nL:GPLv2+ and <odd> \xff\no:musl\nF:lib\nR:ld-musl.so\n\nP:so:odd@edge\nV:1\nA:x86_64\nL:MIT AND (ISC OR Apache-2.0)\n\n"
file /lib/ld-musl.so text=d
file /var/lib/pacman/local/gcc-libs-1:13.1-2/desc text="%NAME%\ngcc-libs\n\n%VERSION%\n1:13.1-2\n\n%ARCH%\nx86_64\n\n%BUILDDATE%\n1690000000\n\n%LICENSE%\nGPL3\ncustom:odd\n\n"
file /var/lib/pacman/local/gcc-libs-1:13.1-2/files text="%FILES%\nusr/\nusr/lib/\nusr/lib/libgcc.so\n\n"
file /usr/lib/libgcc.so text=e
file /srv/app/node_modules/@types/node/package.json text="{\"name\": \"@types/node\", \"version\": \"20.1.0-rc.1+build\", \"license\": \"SEE LICENSE IN ../LICENSE\"}"
file /srv/app/node_modules/@types/node/index.js text=f
file /srv/py/lib/python3.11/site-packages/odd_name-1!2.0+local.dist-info/METADATA text="Name: odd_name\nVersion: 1!2.0+local\nLicense: \"quoted\" and\n  folded\n"
file /srv/py/lib/python3.11/site-packages/odd_name-1!2.0+local.dist-info/RECORD text="odd.py,,\n"
file /srv/py/lib/python3.11/site-packages/odd.py text=g
`

// manyPackages are the packages in the database of manyRoot.
const manyPackages = 20_000

// manyRoot makes a root with far more packages than a real system.
func manyRoot(t *testing.T) string {
	root := mkroot.Make(t, "file /etc/os-release text=\"ID=alpine\\n\"\n")
	var db strings.Builder
	for i := range manyPackages {
		fmt.Fprintf(&db, "P:p%d\nV:1.%[1]d-r0\nA:x86_64\nL:MIT\no:s%d\nF:usr\nR:f%[1]d\n\n", i, i/10)
	}
	put(t, root, "lib/apk/db/installed", db.String())
	return root
}

// syftModule is a Go module that contains the JSON schema of SPDX 2.3. No Python package contains
// this schema.
const syftModule = "github.com/anchore/syft@v1.57.1"

// checkDocuments is a program that checks documents with the JSON schemas of SPDX 2.3 and
// CycloneDX 1.6, and with SPDX's own library. It prints the first problems.
const checkDocuments = `
import json, sys
from jsonschema import Draft7Validator
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
found = 0
with open(sys.argv[1]) as f:
    spdx = Draft7Validator(json.load(f))
for name in sys.argv[2:]:
    with open(name) as f:
        text = f.read()
    if name.endswith(".cdx.json"):
        problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
        problems = [problem] if problem else []
    else:
        problems = [e.message for e in spdx.iter_errors(json.loads(text))]
        problems += [m.validation_message for m in validate_full_spdx_document(parse_file(name))]
    for p in problems[:10]:
        found += 1
        print(name, p)
sys.exit(found > 0)
`

// documentChecker returns a function that runs checkDocuments.
func documentChecker(t *testing.T) func(documents ...string) result {
	t.Helper()
	clients.Need(t, "pip3", "python3", "go")
	python := filepath.Join(t.TempDir(), "python")
	clients.Run(t, exec.Command("pip3", "--quiet", "--disable-pip-version-check", "install", "--no-compile", "--only-binary=:all:", "--root-user-action=ignore",
		"--target", python, "cyclonedx-python-lib[json-validation]==11.12.0", "spdx-tools==0.8.5"))
	var module struct{ Dir string }
	if err := json.Unmarshal([]byte(clients.Run(t, exec.Command("go", "mod", "download", "-json", syftModule))), &module); err != nil {
		t.Fatal(err)
	}
	return func(documents ...string) result {
		cmd := exec.Command("python3", append([]string{"-c", checkDocuments, filepath.Join(module.Dir, "schema/spdx-json/spdx-schema-2.3.json")}, documents...)...)
		cmd.Env = append(os.Environ(), "PYTHONPATH="+python)
		return start(t, cmd)
	}
}

// Documents are valid according to the JSON schemas of both formats and according to SPDX's own
// library.
func TestSBOMIsValid(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root")
	check, dir := documentChecker(t), t.TempDir()
	odd := mkroot.Make(t, oddPackages)
	image := "oci:" + dir + "/layout:1"
	clients.Run(t, exec.Command("chunkah", "build", "-q", "--rootfs", odd, "--config-str", "{}", "--max", "8", "-o", image))
	var documents []string
	for name, source := range map[string]string{
		"odd": odd, "image": image, "debian": debianRoot(t), "rpm": rpmRoot(t), "empty": mkroot.Make(t, "file /etc/x text=x\n"),
	} {
		for format, suffix := range map[string]string{"spdx": ".spdx.json", "cyclonedx": ".cdx.json"} {
			out := filepath.Join(dir, name+suffix)
			clients.Run(t, exec.Command("chunkah", "sbom", "--format", format, source, "-o", out))
			documents = append(documents, out)
		}
	}
	if res := check(documents...); res.code != 0 {
		t.Errorf("%s%s", res.stdout, res.stderr)
	}
	// Check that the program finds problems.
	for name, change := range map[string][]string{"odd.cdx.json": {`"type": "library"`, `"type": "book"`, "book"}, "odd.spdx.json": {`"OPERATING_SYSTEM"`, `"OPERATING-SYSTEM"`, "OPERATING-SYSTEM"}} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		wrong := filepath.Join(dir, "wrong-"+name)
		if err := os.WriteFile(wrong, []byte(strings.Replace(string(text), change[0], change[1], 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if res := check(wrong); res.code != 1 || !strings.Contains(res.stdout, change[2]) {
			t.Errorf("%s: status %d: %s%s", wrong, res.code, res.stdout, res.stderr)
		}
	}
}

// purlsOf returns the package URLs in a CycloneDX document, sorted.
func purlsOf(t *testing.T, args ...string) []string {
	t.Helper()
	out := clients.Run(t, exec.Command("chunkah", append([]string{"sbom", "--format", "cyclonedx"}, args...)...))
	var doc struct {
		Components []struct {
			PURL string `json:"purl"`
			Ref  string `json:"bom-ref"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	var list []string
	refs := make(map[string]bool)
	for _, c := range doc.Components {
		if refs[c.Ref] {
			t.Errorf("the reference %q is not unique", c.Ref)
		}
		if refs[c.Ref] = true; c.PURL != "" {
			list = append(list, c.PURL)
		}
	}
	slices.Sort(list)
	return list
}

// Packages from several databases, and packages with unusual names and versions, have the correct
// package URLs.
func TestSBOMOfOddPackages(t *testing.T) {
	want := []string{
		"pkg:alpm/debian/gcc-libs@1:13.1-2?arch=x86_64&distro=debian-12",
		"pkg:apk/debian/musl@1.2.4_git20230717-r4?arch=x86_64&distro=debian-12",
		"pkg:apk/debian/so:odd%40edge@1?arch=x86_64&distro=debian-12",
		"pkg:deb/debian/libc6@2:2.36~rc1%2Bb1?arch=amd64&distro=debian-12&upstream=glibc",
		"pkg:deb/debian/libc6@2:2.36~rc1%2Bb1?arch=i386&distro=debian-12&upstream=glibc",
		"pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=gcc-12%4012.2.0-14",
		"pkg:npm/%40types/node@20.1.0-rc.1%2Bbuild",
		"pkg:pypi/odd-name@1%212.0%2Blocal",
	}
	if got := purlsOf(t, mkroot.Make(t, oddPackages)); !slices.Equal(got, want) {
		t.Errorf("got %s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSBOMOfManyPackages(t *testing.T) {
	t.Parallel()
	root := manyRoot(t)
	if got := purlsOf(t, root); len(got) != manyPackages || len(slices.Compact(got)) != manyPackages {
		t.Errorf("got %d packages", len(got))
	}
	out := clients.Run(t, exec.Command("chunkah", "sbom", root))
	if n := strings.Count(out, `"SPDXID": "SPDXRef-apk-p`); n != manyPackages {
		t.Errorf("SPDX: %d packages", n)
	}
}

// factsOf returns an SPDX document without the parts that change when an image is rechunked: the
// layers, the image's name and digest, and the document's identifier.
func factsOf(t *testing.T, source string) (facts any, layers int) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(clients.Run(t, exec.Command("chunkah", "sbom", source))), &doc); err != nil {
		t.Fatal(err)
	}
	delete(doc, "name")
	delete(doc, "documentNamespace")
	for _, p := range doc["packages"].([]any) {
		p := p.(map[string]any)
		if p["SPDXID"] == "SPDXRef-subject" {
			for _, key := range []string{"name", "versionInfo", "checksums"} {
				delete(p, key)
			}
		}
		if said, has := p["annotations"].([]any); has {
			p["annotations"] = slices.DeleteFunc(said, func(a any) bool {
				isLayer := strings.HasPrefix(a.(map[string]any)["comment"].(string), "chunkah:layer: ")
				if isLayer {
					layers++
				}
				return isLayer
			})
		}
	}
	return doc, layers
}

// When an image is rechunked, only the layers change in the bill of materials.
func TestSBOMBeforeAndAfterRechunk(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "skopeo")
	dir := t.TempDir()
	for name, root := range map[string]string{"debian": debianRoot(t), "rpm": rpmRoot(t), "odd": mkroot.Make(t, oddPackages)} {
		before, after := "oci:"+dir+"/"+name+":1", "oci:"+dir+"/"+name+":2"
		clients.Run(t, exec.Command("chunkah", "build", "-q", "--rootfs", root, "--skip-special-files", "--config-str", "{}", "--max", "1", "-o", before))
		clients.Run(t, exec.Command("chunkah", "build", "-q", "--from", before, "-o", after))
		want, one := factsOf(t, before)
		got, many := factsOf(t, after)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\nbefore\n%v", name, got, want)
		}
		if one == 0 || many < one {
			t.Errorf("%s: %d layers are named before, and %d after", name, one, many)
		}
	}
}

// Some registries refuse manifests that refer to another manifest. The image is pushed
// nevertheless, and the message reports the refusal and contains advice.
func TestSBOMRefusedByRegistry(t *testing.T) {
	t.Parallel()
	clients.Need(t, "docker-registry", "skopeo")
	real := clients.NewRegistry(t, clients.RegistryOptions{})
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: real})
		r.Out.Host = r.In.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			body, err := io.ReadAll(r.Body)
			if err != nil || bytes.Contains(body, []byte(`"subject"`)) {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"errors":[{"code":"MANIFEST_INVALID","message":"unknown field subject"}]}`)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()
	image := "docker://" + strings.TrimPrefix(server.URL, "http://") + "/app:1"
	root := mkroot.Make(t, oddPackages)
	said := fails(t, 1, exec.Command("chunkah", "build", "-q", "--rootfs", root, "--config-str", "{}", "-o", image, "--sbom", "attach"))
	pushed := digest.FromString(skopeoInspect(t, image, "--raw")).String()
	for _, want := range []string{"the image " + pushed + " is complete", "attaching \"application/spdx+json\"", "unknown field subject", "hint: ", "--sbom FILE"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %s", want, said)
		}
	}
	said = fails(t, 1, exec.Command("chunkah", "sbom", "-q", image, "--attach", image))
	if !strings.Contains(said, "attaching") || !strings.Contains(said, "hint: ") {
		t.Errorf("got %s", said)
	}
}
