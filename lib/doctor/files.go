package doctor

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"chunkah/format"
	"chunkah/lib/repo/java"
	"chunkah/lib/scan"
)

// Sparse adds the files of a scan that have large holes.
func (e *Examiner) Sparse(list []scan.Sparse) {
	for i := range checks {
		if c := &checks[i]; c.sparse && !e.ignores(c.id) {
			for _, s := range list {
				e.add(c, &format.File{Path: s.Path, Size: s.Holes}, s.Path)
			}
		}
	}
}

func adviseSparse(e *Examiner, g *gathering) (string, []string) {
	advice, options := leaveOut(e, g)
	return "make them smaller (logs of logins are made so by useradd with a large number: --no-log-init), or " + advice, options
}

// fatJar reports whether an archive of Java has others inside, and no package brought it.
func fatJar(e *Examiner, f *format.File) (bool, error) {
	if f.Type != format.TypeFile || !strings.HasSuffix(f.Path, ".jar") && !strings.HasSuffix(f.Path, ".war") {
		return false, nil
	}
	if _, bounded := e.bound(f); bounded {
		return false, nil
	}
	file, err := e.opt.Root.OpenFile(f.Path)
	if err != nil {
		return false, err
	}
	defer file.Close() // it was only read
	libraries, err := java.Nested(file, f.Size)
	if libraries.Count > 0 && e.found[FatJar] == nil {
		e.seen.extractor = libraries.Extractor
	}
	return libraries.Count > 0, err
}

func adviseFatJar(e *Examiner, g *gathering) (string, []string) {
	where, name := e.in(g.targets[0])
	if e.seen.extractor == "" {
		return fmt.Sprintf("unpack it, so that its libraries are files of their own%s: unzip %s -d DIRECTORY", where, name), nil
	}
	return fmt.Sprintf("extract it, so that its libraries are files of their own%s: java -Djarmode=%s -jar %s extract", where, e.seen.extractor, name), nil
}

// notUTF8 reports whether a name is none that ostree takes.
func notUTF8(_ *Examiner, f *format.File) (bool, error) {
	return !utf8.ValidString(f.Path) || !utf8.ValidString(f.Target), nil
}
