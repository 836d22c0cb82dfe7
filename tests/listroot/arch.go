package listroot

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Arch creates the directory dir and makes a root in it, with pacman's local database, a merged
// /usr, and pacman's other files.
func Arch(dir string, packages []Package) error {
	if err := unpack(dir, packages); err != nil {
		return err
	}
	for link, target := range map[string]string{"bin": "usr/bin", "lib": "usr/lib", "sbin": "usr/bin", "usr/sbin": "bin"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			return err
		}
	}
	pacman := filepath.Join(dir, "var/lib/pacman")
	for file, text := range map[string]string{
		"var/lib/pacman/local/ALPM_DB_VERSION": "9\n",
		"var/lib/pacman/sync/core.db":          "an index of the repository",
		"var/log/pacman.log":                   "[2024-01-01T00:00:00+0000] [ALPM] installed bash (1.2.3-4)\n",
		"etc/pacman.conf":                      "[options]\nHoldPkg = pacman glibc\n#DBPath = /elsewhere\n",
		"etc/hostname":                         "localhost\n",
	} {
		if err := write(filepath.Join(dir, file), text); err != nil {
			return err
		}
	}
	for _, p := range packages {
		folder := filepath.Join(pacman, "local", p.Name+"-1.2.3-4")
		mtree, err := archTree(p)
		if err != nil {
			return err
		}
		for file, text := range map[string]string{"desc": archDesc(p), "files": archFiles(p), "mtree": mtree} {
			if err := write(filepath.Join(folder, file), text); err != nil {
				return err
			}
		}
	}
	return nil
}

func archDesc(p Package) string {
	return fmt.Sprintf("%%NAME%%\n%s\n\n%%VERSION%%\n1.2.3-4\n\n%%BASE%%\n%s\n\n%%DESC%%\n%s for tests\n\n%%ARCH%%\nx86_64\n\n"+
		"%%BUILDDATE%%\n%d\n\n%%INSTALLDATE%%\n1750000000\n\n%%PACKAGER%%\nNobody <nobody@registry.example>\n\n%%SIZE%%\n4096\n\n"+
		"%%VALIDATION%%\npgp\n\n", p.Name, p.Source, p.Name, p.Built)
}

func archFiles(p Package) string {
	var b strings.Builder
	b.WriteString("%FILES%\n")
	for _, dir := range parents(p.Files) {
		fmt.Fprintf(&b, "%s/\n", dir[1:])
	}
	for _, f := range p.Files {
		fmt.Fprintf(&b, "%s\n", f.Path[1:])
	}
	fmt.Fprintf(&b, "\n%%BACKUP%%\netc/%s.conf\t%032x\n\n", p.Name, p.Built)
	return b.String()
}

// archTree returns the package's mtree, compressed.
func archTree(p Package) (string, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	fmt.Fprintf(z, "#mtree\n/set type=file uid=0 gid=0 mode=644\n./.PKGINFO time=%d.0 size=600 sha256digest=%x\n", p.Built, sha256.Sum256(nil))
	for _, dir := range parents(p.Files) {
		fmt.Fprintf(z, ".%s time=%d.0 mode=755 type=dir\n", escape(dir), p.Built)
	}
	for _, f := range p.Files {
		if f.Target != "" {
			fmt.Fprintf(z, ".%s time=%d.0 mode=777 type=link link=%s\n", escape(f.Path), p.Built, escape(f.Target))
			continue
		}
		fmt.Fprintf(z, ".%s time=%d.0 mode=%o size=%d sha256digest=%x\n", escape(f.Path), p.Built, f.Mode, len(f.Text), sha256.Sum256([]byte(f.Text)))
	}
	err := z.Close()
	return out.String(), err
}

// escape escapes spaces and special characters in a path as octal numbers, as mtree does.
func escape(path string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			fmt.Fprintf(&b, `\%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
