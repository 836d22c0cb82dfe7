package golang

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"chunkah/lib/repo/places"
	"chunkah/lib/repo/places/placestest"
	"chunkah/tests/bound"
)

// build compiles a program, with or without a module.
func build(t testing.TB, module string) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-o", "out"}
	if module == "" {
		args = append(args, "main.go")
	} else if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module "+module+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=", "GOWORK=off", "GO111MODULE=on", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestPrograms(t *testing.T) {
	program, loose := build(t, "example.com/tools/v2"), build(t, "")
	r := placestest.New(t).Exec("/usr/bin/a", program).Exec("/usr/local/bin/b", program).Exec("/usr/bin/loose", loose).
		Exec("/usr/bin/owned", program).File("/usr/bin/not-executable", string(program)).
		Exec("/usr/bin/cut", program[:len(program)/2]).Exec("/usr/bin/script", bytes.Repeat([]byte("#!/bin/sh\n"), least/10)).
		Exec("/usr/bin/small", program[:least-1]).Link("/usr/lib/a", "/usr/bin/a").Own("rpm/owned", "/usr/bin/owned")
	a := r.Assign(Repo{})
	a.WantWarnings()
	a.Want(
		"/usr/bin/a", "go/example.com/tools/v2",
		"/usr/lib/a", "go/example.com/tools/v2",
		"/usr/local/bin/b", "go/example.com/tools/v2",
		"/usr/bin/loose", "go/loose",
		"/usr/bin/owned", "rpm/owned",
		"/usr/bin/not-executable", "chunkah/unclaimed",
		"/usr/bin/script", "chunkah/unclaimed",
		"/usr/bin/small", "chunkah/unclaimed",
	)
	if p := a.Packages[0]; p.Type != "golang" || p.Name != "example.com/tools/v2" || p.Version != "" {
		t.Errorf("main module: %+v", p) // it was built from a checkout
	}
	if p := a.Packages[1]; p.Name != "stdlib" || "go"+p.Version != runtime.Version() || p.Component != a.Packages[0].Component {
		t.Errorf("standard library: %+v", p)
	}
	if got := a.Summaries[0]; got.Packages != 6 || got.Components != 2 || got.Files != 4 {
		t.Errorf("summary: %+v", got)
	}
}

func TestToolchain(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "bin", "go"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := modules(bytes.NewReader(raw)); len(got) < 2 || got[0].Name != "cmd" || got[len(got)-1].Name != "stdlib" {
		t.Errorf("got %+v", got)
	}
}

// A program built from a checkout contains the time of the commit. The pseudo-version of a module
// contains this time too.
func TestCommitTime(t *testing.T) {
	setting := func(key, value string) []debug.BuildSetting { return []debug.BuildSetting{{Key: key, Value: value}} }
	for _, test := range []struct {
		settings []debug.BuildSetting
		version  string
		want     int64
	}{
		{setting("vcs.time", "2023-10-10T12:34:56Z"), "v1.0.0", 1_696_941_296},
		{setting("vcs.time", "2023-10-10T12:34:56Z"), "v1.0.1-0.20240101000000-abcdef123456+dirty", 1_696_941_296},
		{setting("vcs.revision", "abc"), "(devel)", -62_135_596_800},
		{nil, "v0.0.0-20231010123456-abcdef123456", 1_696_941_296},
		{nil, "v1.2.4-0.20231010123456-abcdef123456", 1_696_941_296},
		{nil, "v1.2.4-rc.1.0.20231010123456-abcdef123456+incompatible", 1_696_941_296},
		{nil, "v1.2.3", -62_135_596_800},
		{nil, "v1.2.3-rc.1", -62_135_596_800},
		{nil, "v1.2.3-20231010-x", -62_135_596_800},
		{nil, "", -62_135_596_800},
	} {
		info := &buildinfo.BuildInfo{Settings: test.settings, Main: debug.Module{Version: test.version}}
		if got := commitTime(info).Unix(); got != test.want {
			t.Errorf("%v, %q: committed at %d, want %d", test.settings, test.version, got, test.want)
		}
	}
}

// TestRealCommitTime builds a program in a git repository.
func TestRealCommitTime(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skipf("needs git, which continuous integration has: %v", err)
	}
	r := placestest.New(t).File("/src/main.go", "package main\n\nfunc main() {}\n").File("/src/go.mod", "module example.com/dated\n")
	cmd := exec.Command("sh", "-ec", `git init --quiet && git add . &&
		git -c user.name=x -c user.email=x@example.com commit --quiet --message x && go build -trimpath -buildvcs=true -o ../tool`)
	cmd.Dir = filepath.Join(r.Dir(), "src")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOPROXY=off", "HOME="+r.Dir(),
		"GIT_COMMITTER_DATE=2023-10-10T12:34:56Z", "GIT_AUTHOR_DATE=2020-01-01T00:00:00Z", "GOCACHE="+goCache(t))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a := placestest.Scan(t, r.Dir()).Assign(Repo{})
	if got := a.Packages[0].Component; got.Name != "go/example.com/dated" || len(got.Updates) != 1 || got.Updates[0] != 1_696_941_296 {
		t.Errorf("got %+v", got)
	}
}

// goCache returns the build cache, which depends on HOME.
func goCache(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestNothingHere(t *testing.T) {
	tree := placestest.New(t).Exec("/usr/bin/small", []byte("\x7fELF")).Tree()
	if result, err := (Repo{}).Load(t.Context(), tree); err != nil || result != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

// TestVanished reads a root in which the program of a record is missing.
func TestVanished(t *testing.T) {
	r := placestest.New(t).Exec("/usr/bin/x", make([]byte, least))
	tree := r.Tree()
	result, err := Repo{}.Load(t.Context(), tree)
	if err != nil || result == nil {
		t.Fatalf("got %+v, %v", result, err)
	}
	if err := os.Remove(r.Dir() + "/usr/bin/x"); err != nil {
		t.Fatal(err)
	}
	if result, err := result.Fallback(t.Context()); err != nil || result != nil {
		t.Errorf("got %v, %v", result, err)
	}
}

// FuzzProgram writes bytes at the start of a program, where all its tables are.
func FuzzProgram(f *testing.F) {
	program := build(f, "example.com/fuzzed")
	f.Add(program[:512], uint32(0))
	f.Add([]byte("\xff Go buildinf:\x08\x02"), uint32(4096))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, uint32(32))
	f.Fuzz(func(t *testing.T, patch []byte, at uint32) {
		bound.Memory(t, 4*maxRead+1<<20)
		if len(patch) > 1<<16 {
			return
		}
		raw := bytes.Clone(program[:min(len(program), 256<<10)])
		copy(raw[int(at)%len(raw):], patch)
		list, _ := modules(&places.Bounded{R: bytes.NewReader(raw), Left: maxRead})
		for _, m := range list {
			if m.Name == "" || len(m.Name) > maxName || len(m.Version) > maxName {
				t.Errorf("module %+v", m)
			}
		}
	})
}
