package assign

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
)

// randomRoot returns a tree of files, directories, links and hard links. Some have components, and
// some parents have no records.
func randomRoot(r *rand.Rand) []*format.File {
	seen := map[string]bool{"/": true}
	lines := []string{"/"}
	dirs := []string{""}
	for range 20 + r.IntN(80) {
		parent := dirs[r.IntN(len(dirs))]
		path := parent + "/" + []string{"opt", "usr", "a", "a-b", "b", "srv", "x\xff", "z"}[r.IntN(8)]
		if seen[path] {
			continue
		}
		seen[path] = true
		line := path
		switch kind := r.IntN(10); {
		case kind < 4:
			dirs = append(dirs, path)
			if kind == 0 {
				continue // a parent without a record
			}
			line += "/"
		case kind == 4:
			line += " -> " + dirs[r.IntN(len(dirs))] + "/a"
		case kind == 5:
			line += fmt.Sprintf(" g%d", 1+r.IntN(3))
		default:
			line += fmt.Sprint(" ", r.IntN(1000))
		}
		if r.IntN(15) == 0 {
			line += fmt.Sprint(" @mine/", r.IntN(3))
		}
		lines = append(lines, line)
	}
	return records(lines...)
}

// randomRepos returns repos that claim files of the tree, some of them as fallbacks. Some repos
// claim the same files.
func randomRepos(r *rand.Rand, files []*format.File) []Repo {
	var repos []Repo
	for i := range 1 + r.IntN(4) {
		repo := fake{name: fmt.Sprint("r", i), none: r.IntN(8) == 0}
		for range r.IntN(60) {
			weak := []string{"", "~"}[r.IntN(2)]
			repo.claims = append(repo.claims, fmt.Sprintf("%s%s r%d/%d", weak, files[r.IntN(len(files))].Path, i, r.IntN(6)))
		}
		repos = append(repos, repo)
	}
	return repos
}

func cloneFiles(files []*format.File) []*format.File {
	var copies []*format.File
	for _, f := range files {
		c := *f
		c.Components = slices.Clone(f.Components)
		copies = append(copies, &c)
	}
	return copies
}

// tags returns the components of every record.
func tags(files []*format.File) map[string]string {
	all := map[string]string{}
	for _, f := range files {
		all[f.Path] = strings.Join(f.Components, " ")
	}
	return all
}

// TestProperties checks properties that hold for any tree and any claims. Each file has a
// component. All names of an inode have the same component unless the stream contains other
// components for them. No other field of a record changes. Each component that contains files is
// listed once.
func TestProperties(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 11))
		files := randomRoot(r)
		before := cloneFiles(files)
		out := mustAssign(t, files, randomRepos(r, files)...)
		owning := map[string]bool{}
		groups := map[int64]string{}
		for i, f := range files {
			was := before[i]
			holds := f.Type == format.TypeDir && i+1 < len(files) && strings.HasPrefix(files[i+1].Path, strings.TrimSuffix(f.Path, "/")+"/")
			if len(f.Components) == 0 && !holds || len(f.Components) > 1 && f.Type != format.TypeDir {
				t.Errorf("%s %q has the components %q", f.Type, f.Path, f.Components)
			}
			if len(was.Components) > 0 && !slices.Equal(f.Components, was.Components) {
				t.Errorf("%q had %q and has %q", f.Path, was.Components, f.Components)
			}
			if f.Hardlink != 0 && len(was.Components) == 0 {
				if of, known := groups[f.Hardlink]; known && of != f.Components[0] {
					t.Errorf("%q belongs to %q, another name of its inode to %q", f.Path, f.Components[0], of)
				}
				groups[f.Hardlink] = f.Components[0]
			}
			for _, name := range f.Components {
				owning[name] = true
			}
			same := *f
			same.Components = was.Components
			if fmt.Sprint(same) != fmt.Sprint(*was) {
				t.Errorf("%+v became %+v", *was, *f)
			}
		}
		listed := map[string]bool{}
		for _, c := range out.Components {
			if listed[c.Name] || !owning[c.Name] {
				t.Errorf("component %q: listed before: %v, owns something: %v", c.Name, listed[c.Name], owning[c.Name])
			}
			listed[c.Name] = true
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestClaimOrderIsIrrelevant checks that the order of claims does not matter in any tree.
func TestClaimOrderIsIrrelevant(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 12))
		files := randomRoot(r)
		again := cloneFiles(files)
		repos := randomRepos(r, files)
		want := names(mustAssign(t, files, repos...).Components)
		for i := range repos {
			repo := repos[i].(fake)
			repo.claims = slices.Clone(repo.claims)
			r.Shuffle(len(repo.claims), func(a, b int) { repo.claims[a], repo.claims[b] = repo.claims[b], repo.claims[a] })
			repos[i] = repo
		}
		got := names(mustAssign(t, again, repos...).Components)
		if !slices.Equal(got, want) || fmt.Sprint(tags(files)) != fmt.Sprint(tags(again)) {
			t.Fatalf("seed %d: got %q %v, want %q %v", seed, got, tags(again), want, tags(files))
		}
	}
}

// Adding or removing a package that shares no files with others does not move any other package's
// files. When it is removed, its own files become leftovers, and nothing else changes.
func TestOnePackageMoreOrLess(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 13))
		with := randomRoot(r)
		without := cloneFiles(with)
		repos := randomRepos(r, with)
		// The last repo's package takes no files from the other repos.
		extra := fake{name: "extra"}
		for range 5 {
			extra.claims = append(extra.claims, with[r.IntN(len(with))].Path+" extra/one")
		}
		mustAssign(t, with, append(slices.Clone(repos), extra)...)
		mustAssign(t, without, repos...)
		was, is := tags(without), tags(with)
		for path, component := range is {
			lost := strings.HasPrefix(was[path], "chunkah/") || was[path] == "" || strings.HasPrefix(was[path], "r")
			if component != was[path] && (component != "extra/one" || !lost) {
				t.Fatalf("seed %d: %q belonged to %q and belongs to %q", seed, path, was[path], component)
			}
		}
	}
}
