package rpm

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rpmdb "github.com/knqyf263/go-rpmdb/pkg"
)

// realDatabases lists databases in the go-rpmdb module, with the number of packages according to
// rpm.
var realDatabases = []struct {
	file     string
	packages int
	compare  bool // compare with the library, which is slow
}{
	{"cbl-mariner-2.0/rpmdb.sqlite", 129, true},
	{"fedora35/rpmdb.sqlite", 138, true},
	{"fedora35-plus-mongo/rpmdb.sqlite", 142, false},
	{"sle15-bci/Packages.db", 35, true},
	{"centos5-plain/Packages", 110, true},
	{"centos6-devtools/Packages", 263, false},
	{"centos6-many/Packages", 326, false},
	{"centos6-plain/Packages", 129, false},
	{"centos7-devtools/Packages", 264, false},
	{"centos7-httpd24/Packages", 225, false},
	{"centos7-many/Packages", 396, false},
	{"centos7-plain/Packages", 144, false},
	{"centos7-python35/Packages", 344, false},
	{"centos8-modularitylabel/Packages", 518, false},
	{"libuuid/Packages", 1, true},
	{"ubi8-s390x/Packages", 183, true},
}

func formOf(file string) form {
	return forms[slices.IndexFunc(forms, func(f form) bool { return f.name == path.Base(file) })]
}

func TestRealDatabases(t *testing.T) {
	for _, db := range realDatabases {
		t.Run(path.Dir(db.file), func(t *testing.T) {
			var labels []string
			verified := 0
			err := visitAll(t, formOf(db.file).read, readFile(t, testdata(t, db.file)), nil, func(_ int64, blob []byte) error {
				if _, err := countFiles(blob); err != nil {
					return err
				}
				p, err := parsePackage(blob)
				labels = append(labels, p.label())
				if _, ok := p.header.tags[tagSHA1Header]; ok {
					verified++
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(labels) != db.packages {
				t.Errorf("got %d packages, want %d", len(labels), db.packages)
			}
			// All packages except a public key of CentOS 6 contain their own digest.
			if verified < len(labels)-1 {
				t.Errorf("%d of %d packages are not verified", len(labels)-verified, len(labels))
			}
			slices.Sort(labels)
			if db.compare {
				compareWithLibrary(t, testdata(t, db.file), labels)
			}
		})
	}
}

// compareWithLibrary reads an undamaged database with the library, which returns correct results
// for undamaged databases.
func compareWithLibrary(t *testing.T, file string, want []string) {
	raw := readFile(t, file) // opening changes a SQLite database's directory
	file = filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := rpmdb.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := db.ListPackages()
	if err != nil {
		t.Fatal(err)
	}
	var labels []string
	for _, p := range list {
		label := p.Name + "-" + p.Version + "-" + p.Release
		if p.Arch != "" {
			label += "." + p.Arch
		}
		labels = append(labels, label)
	}
	slices.Sort(labels)
	if !slices.Equal(labels, want) {
		t.Errorf("the library reads\n%q\nwant\n%q", labels, want)
	}
}

// TestPackagesReal checks that the data for a bill of materials are the same as those that the
// library reads.
func TestPackagesReal(t *testing.T) {
	for _, name := range []string{"fedora35/rpmdb.sqlite", "centos7-many/Packages", "sle15-bci/Packages.db", "centos5-plain/Packages"} {
		t.Run(filepath.Dir(name), func(t *testing.T) {
			raw := readFile(t, testdata(t, name))
			var got []string
			for _, p := range newTree(t).file("/var/lib/rpm/"+filepath.Base(name), string(raw)).mustLoad().Packages {
				got = append(got, strings.Join([]string{p.Type, p.Name, p.Version, p.Arch, p.Source, p.License}, " "))
			}
			file := filepath.Join(t.TempDir(), "db")
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			db, err := rpmdb.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			list, err := db.ListPackages()
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, p := range list {
				version := p.Version + "-" + p.Release
				if p.Epoch != nil {
					version = fmt.Sprint(p.EpochNum(), ":", version)
				}
				// Keys that rpm keeps as packages have no architecture and no source.
				said := strings.Join([]string{"rpm", p.Name, version, p.Arch, p.SourceRpm, p.License}, " ")
				want = append(want, strings.ReplaceAll(said, "(none)", ""))
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) || len(got) == 0 {
				t.Errorf("got\n%q\nwant\n%q", got, want)
			}
		})
	}
}
