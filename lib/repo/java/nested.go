package java

import (
	"io"
	"path"
	"strings"

	"chunkah/lib/repo/places"
)

// libraryDirs are the directories of libraries in archives: in those of Spring Boot, and in web
// archives.
var libraryDirs = []string{"BOOT-INF/lib/", "WEB-INF/lib/"}

// extractors are the libraries of Spring Boot that extract an archive, by the mode that runs them:
// since 3.3, and from 2.3 to 3.2.
var extractors = map[string]string{"spring-boot-jarmode-tools-": "tools", "spring-boot-jarmode-layertools-": "layertools"}

// Libraries are the archives in the library directory of an archive.
type Libraries struct {
	Count int
	// Extractor is the jarmode in which the archive extracts itself; empty if it cannot.
	Extractor string
}

// Nested looks for the archives inside an archive. An error is that of reading the file; a file
// that is not an archive has none.
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
