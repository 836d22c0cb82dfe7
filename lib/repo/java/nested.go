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

// Nested counts the archives in an archive's library directory. It fails if the file cannot be
// read; a file that is not an archive has none.
func Nested(r io.ReaderAt, size int64) (count int, err error) {
	b := &places.Bounded{R: r, Left: maxRead}
	for e := range (&archive{b, size}).entries() {
		for _, dir := range libraryDirs {
			if name, inside := strings.CutPrefix(e.name, dir); inside && path.Ext(name) == ".jar" {
				count++
			}
		}
	}
	return count, b.Err
}
