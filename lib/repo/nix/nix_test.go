package nix

import (
	"context"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/tests/bound"
	"chunkah/tests/mkroot"
)

const (
	hashA = "0123456789abcdfghijklmnpqrsvwxyz"
	hashB = "zyxwvsrqpnmlkjihgfdcba9876543210"
)

func TestClaims(t *testing.T) {
	root := strings.NewReplacer("HASHA", hashA, "HASHB", hashB).Replace(`
file /nix/store/HASHA-glibc-2.38-44/lib/libc.so.6
symlink /nix/store/HASHA-glibc-2.38-44/lib/libm.so to=libc.so.6
file /nix/store/HASHB-glibc-2.38-44/lib/libc.so.6
file /nix/store/HASHA-script.sh
symlink /nix/store/HASHB-link to=/nix/store/HASHA-script.sh
dir /nix/store/HASHB-empty
file /nix/store/HASHA-foo.drv
file /nix/store/HASHA-foo.lock
file /nix/store/HASHA-foo.lock.d/x
link /nix/store/.links/abc to=/nix/store/HASHA-script.sh
file /nix/store/nohash-name/file
file /nix/store/HASHA-glibcs
file /nix/var/nix/db/db.sqlite
file /nix/var/nix/db/db.sqlite-wal text=x
file /nix/var/nix/db/db.sqlite-shm
symlink /nix/var/nix/profiles/default to=default-1-link
symlink /usr/bin/env to=/nix/store/HASHA-script.sh
file /etc/other
`)
	tree, outcome := pkgdbtest.Run(t, mkroot.Make(t, root), Repo{})
	pkgdbtest.Equal(t, "claims", pkgdbtest.Claims(tree, Repo{}, false), strings.NewReplacer("HASHA", hashA, "HASHB", hashB).Replace(pkgdbtest.Lines(
		"/nix/store/.links/abc nix/script.sh",
		"/nix/store/HASHA-foo.drv nix/foo.drv",
		"/nix/store/HASHA-foo.lock nix/.database",
		"/nix/store/HASHA-foo.lock.d nix/foo.lock.d",
		"/nix/store/HASHA-foo.lock.d/x nix/foo.lock.d",
		"/nix/store/HASHA-glibc-2.38-44 nix/glibc-2.38-44",
		"/nix/store/HASHA-glibc-2.38-44/lib nix/glibc-2.38-44",
		"/nix/store/HASHA-glibc-2.38-44/lib/libc.so.6 nix/glibc-2.38-44",
		"/nix/store/HASHA-glibc-2.38-44/lib/libm.so nix/glibc-2.38-44",
		"/nix/store/HASHA-glibcs nix/glibcs",
		"/nix/store/HASHA-script.sh nix/script.sh",
		"/nix/store/HASHB-empty nix/empty",
		"/nix/store/HASHB-glibc-2.38-44 nix/glibc-2.38-44",
		"/nix/store/HASHB-glibc-2.38-44/lib nix/glibc-2.38-44",
		"/nix/store/HASHB-glibc-2.38-44/lib/libc.so.6 nix/glibc-2.38-44",
		"/nix/store/HASHB-link nix/link",
		"/nix/var/nix nix/.database",
		"/nix/var/nix/db nix/.database",
		"/nix/var/nix/db/db.sqlite nix/.database",
		"/nix/var/nix/db/db.sqlite-shm nix/.database",
		"/nix/var/nix/db/db.sqlite-wal nix/.database",
		"/nix/var/nix/profiles nix/.database",
		"/nix/var/nix/profiles/default nix/.database",
		"/usr/bin/env nix/script.sh",
	)))
	pkgdbtest.Equal(t, "components", pkgdbtest.Components(outcome.Components), pkgdbtest.Lines(
		"nix/.database days=1", "nix/empty", "nix/foo.drv", "nix/foo.lock.d", "nix/glibc-2.38-44", "nix/glibcs", "nix/link", "nix/script.sh",
	))
	if w := strings.Join(outcome.Warnings, "\n"); len(outcome.Warnings) != 3 || !strings.Contains(w, `db.sqlite-shm": a program`) || !strings.Contains(w, `db.sqlite-wal": some store paths may be only in this log`) || !strings.Contains(w, `foo.lock": Nix left`) {
		t.Errorf("got %s", w)
	}
	if n := outcome.Summaries[0].Packages; n != 8 {
		t.Errorf("got %d store paths", n)
	}
}

func TestNoStore(t *testing.T) {
	for _, text := range []string{"dir /usr", "dir /nix/store", "file /nix/store", "file /nix/store/readme", "symlink /nix to=nowhere"} {
		r, err := Repo{}.Load(context.Background(), pkgdbtest.Tree(t, mkroot.Make(t, text)))
		if r != nil || err != nil {
			t.Errorf("%s: got %v, %v", text, r, err)
		}
	}
}

func TestLinkedStore(t *testing.T) {
	tree, _ := pkgdbtest.Run(t, mkroot.Make(t, "symlink /nix to=data/nix\nfile /data/nix/store/"+hashA+"-x/y\nfile /data/nix/var/nix/db/z\n"), Repo{})
	pkgdbtest.Equal(t, "claims", pkgdbtest.Claims(tree, Repo{}, true), pkgdbtest.Lines(
		"/data/nix/store/"+hashA+"-x/y nix/x", "/data/nix/var/nix/db/z nix/.database"))
}

func FuzzStoreName(f *testing.F) {
	f.Add(hashA + "-glibc-2.38-44")
	f.Add(hashB + "-.x")
	f.Fuzz(func(t *testing.T, base string) {
		bound.Input(t, len(base))
		name := storeName(base)
		if name != "" && (!strings.HasSuffix(base, "-"+name) || len(base) != hashLen+1+len(name) || name[0] == '.') {
			t.Fatalf("got %q of %q", name, base)
		}
		if err := (&format.Component{Name: repoName + "/" + format.Text(name)}).Validate(); name != "" && err != nil {
			t.Fatalf("%q has no component: %v", name, err)
		}
	})
}
