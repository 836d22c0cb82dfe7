package conda

import (
	"encoding/json"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/repo/places/placestest"
	"chunkah/lib/repo/python"
	"chunkah/tests/bound"
)

const prefix = "/opt/conda"

// install adds a package to an environment.
func install(r *placestest.Root, prefix, name string, files ...string) *placestest.Root {
	raw, err := json.Marshal(map[string]any{"name": name, "version": "1.0", "build": "h0_0", "files": files, "paths_data": map[string]any{}})
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		r.File(format.Join(prefix, file), "")
	}
	return r.File(prefix+"/conda-meta/"+name+"-1.0-h0_0.json", string(raw))
}

func TestEnvironments(t *testing.T) {
	r := placestest.New(t)
	install(r, prefix, "openssl", "bin/openssl", "lib/libssl.so.3")
	install(r, prefix, "python-dateutil", "lib/python3.12/site-packages/dateutil/a.py", "lib/python3.12/site-packages/python_dateutil-2.dist-info/METADATA",
		"lib/python3.12/site-packages/python_dateutil-2.dist-info/RECORD")
	install(r, prefix+"/envs/web", "openssl", "bin/openssl")
	r.File(prefix+"/conda-meta/history", "").File(prefix+"/conda-meta/pinned", "").File(prefix+"/pkgs/urls.txt", "").File(prefix+"/pkgs/cache/1.json", "")
	r.File(prefix+"/pkgs/openssl-1.0-h0_0/info/index.json", "").File(prefix+"/pkgs/openssl-1.0-h0_0.conda", "").File(prefix+"/pkgs/other-1-0/x", "")
	r.Link(prefix+"/pkgs/openssl-1.0-h0_0/bin/openssl", prefix+"/bin/openssl")
	r.File(prefix+"/lib/python3.12/site-packages/dateutil/mine.py", "").File(prefix+"/bin/mine", "")
	site := prefix + "/lib/python3.12/site-packages"
	r.File(site+"/six.py", "").File(site+"/six-1.dist-info/METADATA", "").File(site+"/six-1.dist-info/RECORD", "six.py,,\n")
	a := r.Assign(Repo{}, python.Repo{})
	a.WantWarnings()
	a.Want(
		prefix+"/bin/openssl", "conda/openssl",
		prefix+"/lib/libssl.so.3", "conda/openssl",
		prefix+"/conda-meta/openssl-1.0-h0_0.json", "conda/openssl",
		prefix+"/pkgs/openssl-1.0-h0_0/bin/openssl", "conda/openssl",
		prefix+"/pkgs/openssl-1.0-h0_0/info/index.json", "conda/openssl",
		prefix+"/pkgs/openssl-1.0-h0_0.conda", "conda/openssl",
		prefix+"/pkgs/other-1-0/x", "chunkah/unclaimed/opt/conda",
		prefix+"/pkgs/urls.txt", "conda/.database",
		prefix+"/pkgs/cache/1.json", "conda/.database",
		prefix+"/conda-meta/history", "conda/.database",
		prefix+"/conda-meta/pinned", "chunkah/unclaimed/opt/conda",
		prefix+"/envs/web/bin/openssl", "conda/openssl@/opt/conda/envs/web",
		site+"/dateutil/a.py", "conda/python-dateutil",
		site+"/python_dateutil-2.dist-info/METADATA", "conda/python-dateutil",
		site+"/six.py", "python/six",
		prefix+"/bin/mine", "chunkah/unclaimed/opt/conda",
	)
}

// TestSharedCache checks that files in a shared cache belong to the package in the first
// environment.
func TestSharedCache(t *testing.T) {
	r := placestest.New(t)
	for _, env := range []string{"a", "b"} {
		r.File("/envs/"+env+"/conda-meta/x-1-0.json", `{"name": "x", "files": ["bin/x"], "extracted_package_dir": "/cache/pkgs/x-1-0"}`).File("/envs/"+env+"/bin/x", "")
		r.File("/envs/"+env+"/conda-meta/evil-1-0.json", `{"name": "evil", "files": ["../../etc/passwd"], "extracted_package_dir": "/cache"}`)
	}
	r.File("/cache/pkgs/x-1-0/bin/x", "").File("/cache/pkgs/x-1-0.tar.bz2", "").File("/cache/mine", "")
	a := r.Assign(Repo{})
	a.WantWarnings()
	a.Want("/envs/a/bin/x", "conda/x", "/envs/b/bin/x", "conda/x@/envs/b", "/cache/pkgs/x-1-0/bin/x", "conda/x",
		"/cache/pkgs/x-1-0.tar.bz2", "conda/x", "/cache/mine", "chunkah/unclaimed/cache")
}

func TestDamagedRecords(t *testing.T) {
	meta := prefix + "/conda-meta/"
	r := placestest.New(t).File(meta+"cut-off-1-0.json", `{"name": "cut-off", "files": ["bin/`).File(meta+"nameless-1-0.json", `{"files": ["bin/x"]}`).
		Sparse(meta+"huge-1-0.json", maxRecord+1).File(meta+".json", "").Mkdir(meta+"dir-1-0.json").File(prefix+"/bin/x", "")
	a := r.Assign(Repo{})
	a.WantWarnings(
		`conda: package "cut-off-1-0": reading "/opt/conda/conda-meta/cut-off-1-0.json": is not the record`,
		`package "huge-1-0"|is larger than`,
		`package "nameless-1-0"|does not contain the name of its package`,
	)
	a.Want(meta+"cut-off-1-0.json", "conda/cut-off", meta+"huge-1-0.json", "conda/huge", prefix+"/bin/x", "chunkah/unclaimed/opt/conda")
	if result, err := (Repo{}).Load(t.Context(), placestest.New(t).File("/app/x.json", "").Tree()); err != nil || result != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"name": "x", "files": ["bin/x"], "extracted_package_dir": "/cache/pkgs/x-1-0"}`), "x-1-0")
	f.Add([]byte(`{"name": "../x", "files": null}`), "-")
	f.Fuzz(func(t *testing.T, raw []byte, full string) {
		bound.Input(t, len(raw)+len(full))
		r, err := parse(raw)
		if (err == nil) == (r.Name == "") || strings.Contains(r.Name, "/") {
			t.Errorf("got %q, %v", r.Name, err)
		}
		if name := nameOf(full); !strings.HasPrefix(full, name) || (name == "") != (full == "") {
			t.Errorf("%q: got %q", full, name)
		}
	})
}
