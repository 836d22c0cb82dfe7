package rpm

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/rootfs"
)

// moduleDir is the directory of the go-rpmdb module, which contains real databases.
var moduleDir = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/knqyf263/go-rpmdb").Output()
	return strings.TrimSpace(string(out)), err
})

// testdata returns the path of one of the module's databases.
func testdata(t testing.TB, name string) string {
	t.Helper()
	dir, err := moduleDir()
	if err != nil || dir == "" {
		t.Skipf("the go-rpmdb module is not there: %v", err)
	}
	path := filepath.Join(dir, "pkg", "testdata", name)
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
	}
	return path
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// tree is a root in a temporary directory and the records of its files.
type tree struct {
	t     testing.TB
	dir   string
	files []*format.File
}

func newTree(t testing.TB) *tree {
	return &tree{t: t, dir: t.TempDir()}
}

// file creates a regular file with its parents, and their records.
func (tr *tree) file(path, content string) *tree {
	tr.t.Helper()
	tr.parents(path)
	if err := os.WriteFile(tr.dir+path, []byte(content), 0o644); err != nil {
		tr.t.Fatal(err)
	}
	tr.record(path, format.TypeFile, int64(len(content)))
	return tr
}

func (tr *tree) symlink(path, target string) *tree {
	tr.t.Helper()
	tr.parents(path)
	if err := os.Symlink(target, tr.dir+path); err != nil {
		tr.t.Fatal(err)
	}
	tr.record(path, format.TypeSymlink, 0)
	tr.files[slices.IndexFunc(tr.files, func(f *format.File) bool { return f.Path == path })].Target = target
	return tr
}

func (tr *tree) mkdir(path string) *tree {
	tr.t.Helper()
	tr.parents(path + "/x")
	return tr
}

func (tr *tree) parents(path string) {
	tr.t.Helper()
	for i, r := range path {
		if r != '/' || i == 0 {
			continue
		}
		if err := os.Mkdir(tr.dir+path[:i], 0o755); err == nil {
			tr.record(path[:i], format.TypeDir, 0)
		} else if !os.IsExist(err) {
			tr.t.Fatal(err)
		}
	}
}

func (tr *tree) record(path string, kind format.Type, size int64) *format.File {
	f := &format.File{Path: path, Type: kind, Mode: 0o644, Size: size}
	tr.files = append(tr.files, f)
	return f
}

// open opens the root and puts the records in order.
func (tr *tree) open() *assign.Tree {
	tr.t.Helper()
	root, err := rootfs.Open(tr.dir)
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.t.Cleanup(func() { root.Close() })
	sort.Slice(tr.files, func(a, b int) bool { return format.ComparePaths(tr.files[a].Path, tr.files[b].Path) < 0 })
	return assign.NewTree(root, tr.files)
}

// load runs the repo on the tree with a separate directory for private copies, and checks that this
// directory is empty afterwards.
func (tr *tree) load() (*assign.Result, error) {
	tr.t.Helper()
	tmp := tr.t.TempDir()
	result, err := Repo{TempDir: tmp}.Load(context.Background(), tr.open())
	left, listErr := os.ReadDir(tmp)
	if listErr != nil || len(left) > 0 {
		tr.t.Errorf("private copies are left: %v %v", left, listErr)
	}
	return result, err
}

func (tr *tree) mustLoad() *assign.Result {
	tr.t.Helper()
	result, err := tr.load()
	if err != nil {
		tr.t.Fatal(err)
	}
	if result == nil {
		tr.t.Fatal("no database was found")
	}
	return result
}

// componentsOf returns the components of packages and claims, by name.
func componentsOf(r *assign.Result) []*format.Component {
	byName := make(map[string]*format.Component)
	for _, p := range r.Packages {
		byName[p.Component.Name] = p.Component
	}
	for _, claim := range r.Claims {
		byName[claim.Package.Component.Name] = claim.Package.Component
	}
	var list []*format.Component
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, byName[name])
	}
	return list
}

// visitAll reads a database given as bytes, as from a tree.
func visitAll(t testing.TB, read func(context.Context, *private, visit) error, raw, wal []byte, visit visit) error {
	t.Helper()
	dir, err := os.MkdirTemp("", "chunkah-rpm-test-") //nolint:usetesting // a fuzz run reads thousands of databases, so each directory is removed immediately
	if err != nil {
		t.Fatal(err)
	}
	c := &private{dir: dir, wal: wal != nil}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(c.path(), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if wal != nil {
		if err := os.WriteFile(filepath.Join(dir, walName), wal, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return read(context.Background(), c, visit)
}
