package java

import (
	"io"
	"path"
	"strings"

	"chunkah/lib/repo/places"
)

// libraryDirs are the library directories in Spring Boot archives and in web archives.
var libraryDirs = []string{"BOOT-INF/lib/", "WEB-INF/lib/"}

// extractors maps the names of the Spring Boot libraries that extract an archive to the jarmode
// that runs them. The first is used since version 3.3, the second in versions 2.3 to 3.2.
var extractors = map[string]string{"spring-boot-jarmode-tools-": "tools", "spring-boot-jarmode-layertools-": "layertools"}

// Libraries lists the archives in an archive's library directory.
type Libraries struct {
	Count int
	// Extractor is the jarmode in which the archive extracts itself; empty if it cannot.
	Extractor string
}

// Nested looks for the archives inside an archive. It returns an error only if the file cannot be
// read. A file that is not an archive contains no libraries.
func Nested(r io.ReaderAt, size int64) (l Libraries, err error) {
	b := &places.Bounded{R: r, Left: maxRead}
	for e := range (&archive{b, size}).entries() {
		for _, dir := range libraryDirs {
			name, inside := strings.CutPrefix(e.name, dir)
			if !inside || path.Ext(name) != ".jar" {
				continue
			}
			l.Count++
			for prefix, mode := range extractors {
				if strings.HasPrefix(name, prefix) {
					l.Extractor = mode
				}
			}
		}
	}
	return l, b.Err
}
