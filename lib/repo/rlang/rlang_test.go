package rlang

import (
	"testing"

	"chunkah/lib/repo/places/placestest"
	"chunkah/tests/bound"
)

const library = "/usr/local/lib/R/site-library"

// install adds a package to a library.
func install(r *placestest.Root, library, name, more string) *placestest.Root {
	dir := library + "/" + name
	return r.File(dir+"/DESCRIPTION", "Package: "+name+"\nVersion: 1.0\nDescription: Of\n    Package: other\n"+more+"Built: R 4.2.2; ; 2023-01-01 00:00:00 UTC; unix\n").
		File(dir+"/Meta/package.rds", "").File(dir+"/R/"+name+".rdb", "")
}

func TestLibraries(t *testing.T) {
	r := placestest.New(t)
	install(r, library, "scales", "")
	install(r, library, "rlang", "")
	install(r, "/srv/app/renv/library/R-4.2/x86_64-pc-linux-gnu", "scales", "")
	install(r, "/usr/lib/R/library", "stats", "Priority: base\n")
	install(r, "/usr/lib/R/library", "utils", "Priority: base\n")
	install(r, "/usr/lib/R/library", "MASS", "Priority: recommended\n")
	install(r, "/usr/lib/R/site-library", "scales", "")
	for _, path := range []string{"/DESCRIPTION", "/Meta/package.rds", "/R/scales.rdb"} {
		r.Own("dpkg/r-cran-scales", "/usr/lib/R/site-library/scales"+path)
	}
	install(r, library+"/rlang/tests", "fixture", "")
	r.File("/srv/source/DESCRIPTION", "Package: source\n").File(library+"/mine.R", "")
	a := r.Assign(Repo{})
	a.WantWarnings()
	a.Want(
		"/srv/app/renv/library/R-4.2/x86_64-pc-linux-gnu/scales/R/scales.rdb", "r/scales",
		library+"/scales/DESCRIPTION", "r/scales@"+library,
		library+"/rlang/R/rlang.rdb", "r/rlang",
		"/usr/lib/R/library/stats/R/stats.rdb", "r/base",
		"/usr/lib/R/library/utils/R/utils.rdb", "r/base",
		"/usr/lib/R/library/MASS/R/MASS.rdb", "r/MASS",
		"/srv/source/DESCRIPTION", "chunkah/unclaimed/srv/source",
		library+"/rlang/tests/fixture/R/fixture.rdb", "r/rlang",
		library+"/mine.R", "chunkah/unclaimed/usr/local/lib",
	)
	if got := a.Summaries[0].Packages; got != 6 {
		t.Errorf("%d packages", got)
	}
}

func TestDamagedDescriptions(t *testing.T) {
	r := placestest.New(t).File(library+"/liar/DESCRIPTION", "Package: other\nPriority: base\n").File(library+"/liar/Meta/package.rds", "").
		File(library+"/empty/DESCRIPTION", "").File(library+"/empty/Meta/package.rds", "").
		Sparse(library+"/huge/DESCRIPTION", maxDescription+1).File(library+"/huge/Meta/package.rds", "").
		Mkdir(library+"/dir/DESCRIPTION").File(library+"/dir/Meta/package.rds", "")
	a := r.Assign(Repo{})
	a.WantWarnings(`"/usr/local/lib/R/site-library/dir"|not a regular file`, `empty/DESCRIPTION" belongs to package ""`, `huge"|is larger than`, `liar/DESCRIPTION" belongs to package "other"`)
	a.Want(library+"/liar/DESCRIPTION", "r/liar", library+"/huge/Meta/package.rds", "r/huge", library+"/dir/Meta/package.rds", "r/dir")
	if result, err := (Repo{}).Load(t.Context(), placestest.New(t).File("/x/DESCRIPTION", "").Tree()); err != nil || result != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

func FuzzDescription(f *testing.F) {
	f.Add([]byte("Package: scales\nPriority: base\n  Package: x\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Input(t, len(raw))
		d := parse(raw)
		again := parse(append(raw, "\nPriority: base\nPackage: x\n"...))
		if again.name != "x" || !again.isBase || len(d.name) > len(raw) || d.isBase && len(raw) < len("Priority:base") {
			t.Errorf("got %+v, %+v", d, again)
		}
	})
}
