package listroot

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Alpine creates the directory dir and makes a root in it. apk's database is in the directory db
// ("lib/apk/db"). The root also contains busybox's links, which apk does not list.
func Alpine(dir, db string, packages []Package) error {
	if err := unpack(dir, packages); err != nil {
		return err
	}
	var installed, world strings.Builder
	for _, p := range packages {
		installed.WriteString(apkEntry(p))
		fmt.Fprintln(&world, p.Name)
	}
	for file, text := range map[string]string{
		db + "/installed": installed.String(), db + "/triggers": "", db + "/lock": "", "etc/apk/world": world.String(),
	} {
		if err := write(filepath.Join(dir, file), text); err != nil {
			return err
		}
	}
	for _, name := range []string{"ls", "cat", "sh"} {
		if err := os.Symlink("/usr/bin/busybox", filepath.Join(dir, "usr/bin", name)); err != nil {
			return err
		}
	}
	return write(filepath.Join(dir, "etc/hostname"), "localhost\n")
}

// apkEntry returns a package's entry for the file named installed.
func apkEntry(p Package) string {
	var b strings.Builder
	fmt.Fprintf(&b, "C:%s\nP:%s\nV:1.2.3-r4\nA:x86_64\nS:1000\nI:4096\nT:%s for tests\nU:https://registry.example/\nL:MIT\n"+
		"o:%s\nm:Nobody <nobody@registry.example>\nt:%d\nc:%040x\nD:so:libc.musl-x86_64.so.1 !uclibc\np:cmd:%s=1.2.3-r4\n",
		sum(p.Name), p.Name, p.Name, p.Source, p.Built, p.Built, p.Name)
	for _, dir := range parents(p.Files) {
		fmt.Fprintf(&b, "F:%s\n", dir[1:])
		for _, f := range p.Files {
			if path.Dir(f.Path) != dir {
				continue
			}
			fmt.Fprintf(&b, "R:%s\n", path.Base(f.Path))
			if f.Mode != 0o644 {
				fmt.Fprintf(&b, "a:0:0:%o\n", f.Mode)
			}
			fmt.Fprintf(&b, "Z:%s\n", sum(f.Text+f.Target))
		}
	}
	return b.String() + "\n"
}

// sum returns a digest in apk's format, in which Q1 means SHA-1.
func sum(text string) string {
	digest := sha1.Sum([]byte(text))
	return "Q1" + base64.StdEncoding.EncodeToString(digest[:])
}
