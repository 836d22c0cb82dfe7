package assign

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
)

// owned maps a file to its owners' names.
type owned map[string][]string

// randomOwners returns a root with packages that share files. Most files have one owner, and some
// files have up to five.
func randomOwners(r *rand.Rand) owned {
	files := make(owned)
	for i := range 40 {
		path := fmt.Sprintf("/f%02d", i)
		owners := 1
		if r.IntN(3) == 0 {
			owners = 2 + r.IntN(4)
		}
		for _, p := range r.Perm(8)[:owners] {
			files[path] = append(files[path], fmt.Sprintf("x/%d", p))
		}
	}
	return files
}

// without removes a package, and the files that only it owns.
func (files owned) without(name string) owned {
	left := make(owned)
	for path, owners := range files {
		isIt := func(o string) bool { return o == name }
		if rest := slices.DeleteFunc(slices.Clone(owners), isIt); len(rest) > 0 {
			left[path] = rest
		}
	}
	return left
}

// components assigns the files and lists the files of each component.
func (files owned) components(t *testing.T) map[string][]string {
	t.Helper()
	var paths []string
	repo := fake{name: "x"}
	for path, owners := range files {
		paths = append(paths, path)
		for _, o := range owners {
			repo.claims = append(repo.claims, path+" "+o)
		}
	}
	list := records(paths...)
	mustAssign(t, list, repo)
	all := make(map[string][]string)
	for _, f := range list {
		all[f.Components[0]] = append(all[f.Components[0]], f.Path)
	}
	return all
}

// Adding or removing a package changes only its own component, the shared component, and the
// components of packages that become or stop being the sole owner of a file. If each of the
// package's files has one owner, or three or more, no other package's component changes.
func TestOwnersComeAndGo(t *testing.T) {
	const shared = "x/" + SharedName
	moved := 0
	for seed := range uint64(200) {
		files := randomOwners(rand.New(rand.NewPCG(seed, 14)))
		with := files.components(t)
		for p := range 8 {
			name := fmt.Sprintf("x/%d", p)
			may := map[string]bool{name: true, shared: true}
			for _, owners := range files {
				if len(owners) == 2 && slices.Contains(owners, name) {
					may[owners[0]], may[owners[1]] = true, true
				}
			}
			moved += len(may) - 2
			without := files.without(name).components(t)
			for c := range with {
				if !may[c] && !slices.Equal(with[c], without[c]) {
					t.Errorf("seed %d: without %s, %s is %q; with it %q", seed, name, c, without[c], with[c])
				}
			}
			for c := range without {
				if with[c] == nil && !may[c] {
					t.Errorf("seed %d: only without %s there is %s", seed, name, c)
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	if moved == 0 {
		t.Error("no root has a file of two owners")
	}
}

// No package's component contains a file that another package also owns. So an update of the other
// package cannot change it.
func TestComponentsHoldOnlyTheirOwn(t *testing.T) {
	for seed := range uint64(200) {
		files := randomOwners(rand.New(rand.NewPCG(seed, 15)))
		for c, paths := range files.components(t) {
			for _, path := range paths {
				if owners := files[path]; (len(owners) > 1) != (c == "x/"+SharedName) || len(owners) == 1 && owners[0] != c {
					t.Fatalf("seed %d: %s of %q is in %s", seed, path, owners, c)
				}
			}
		}
	}
}

// An update of any owner can change shared files.
func TestSharedRecord(t *testing.T) {
	dated := func(name string, clamp, days int64, updates ...int64) *format.Component {
		return &format.Component{Name: name, Updates: updates, IntervalDays: days, MtimeClamp: clamp, HasMtimeClamp: clamp != 0}
	}
	for _, tt := range []struct {
		name string
		all  []*format.Component
		want *format.Component
	}{
		{"dated", []*format.Component{dated("x/a", -9, 0, 1, 5), dated("x/b", -7, 0, 5, 7), dated("x/other", 9, 1, 9)},
			dated("x/.shared", -7, 0, 1, 5, 7)},
		{"one without a clamp", []*format.Component{dated("x/a", 6, 30), dated("x/b", 0, 7), dated("x/other", 9, 1, 9)},
			dated("x/.shared", 0, 7)},
		{"nothing known", []*format.Component{dated("x/a", 0, 0), dated("x/b", 0, 0), dated("x/other", 9, 1, 9)},
			dated("x/.shared", 0, 0)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			of := func(i int) *Package { return &Package{Component: tt.all[i]} }
			repo := &stub{name: "x", result: Result{Claims: []Claim{{0, of(1)}, {0, of(0)}, {1, of(2)}}}}
			out := mustAssign(t, records("/a", "/b"), repo)
			if got := names(out.Components); strings.Join(got, " ") != "x/.shared x/other" {
				t.Fatalf("got the components %q", got)
			}
			if got := out.Components[0]; !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
