package doctor

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"chunkah/format"
	"chunkah/lib/repo/java"
	"chunkah/lib/scan"
)

// Sparse adds the files with large holes that scan found.
func (e *Examiner) Sparse(list []scan.Sparse) {
	for i := range checks {
		if c := &checks[i]; c.sparse && !e.ignores(c.id) {
			for _, s := range list {
				e.add(c, &format.File{Path: s.Path, Size: s.Holes}, s.Path)
			}
		}
	}
}

func adviseSparse(e *Examiner, g *collection) (string, []string) {
	advice, options := leaveOut(e, g)
	return "make them smaller (useradd with a large user ID creates such login logs: use --no-log-init), or " + advice, options
}

// fatJar reports whether a Java archive contains other archives and no package owns it.
func fatJar(e *Examiner, f *format.File) (bool, error) {
	if f.Type != format.TypeFile || !strings.HasSuffix(f.Path, ".jar") && !strings.HasSuffix(f.Path, ".war") {
		return false, nil
	}
	if e.bound(f) {
		return false, nil
	}
	file, err := e.opt.Root.OpenFile(f.Path)
	if err != nil {
		return false, err
	}
	defer file.Close() // it was only read
	libraries, err := java.Nested(file, f.Size)
	if libraries.Count > 0 && e.found[fatJarID] == nil {
		e.seen.extractor = libraries.Extractor
	}
	return libraries.Count > 0, err
}

func adviseFatJar(e *Examiner, g *collection) (string, []string) {
	where, name := e.location(g.targets[0])
	if e.seen.extractor == "" {
		return fmt.Sprintf("unpack it, so that its libraries become separate files%s: unzip %s -d DIRECTORY", where, name), nil
	}
	return fmt.Sprintf("extract it, so that its libraries become separate files%s: java -Djarmode=%s -jar %s extract", where, e.seen.extractor, name), nil
}

// notUTF8 reports whether ostree would refuse the name or link target.
func notUTF8(_ *Examiner, f *format.File) (bool, error) {
	return !utf8.ValidString(f.Path) || !utf8.ValidString(f.Target), nil
}
