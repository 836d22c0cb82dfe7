package java

import (
	"io"
	"path"
	"strings"

	"chunkah/lib/repo/places"
)

// nestedFolders are the directories of libraries in archives: in those of Spring Boot, and in web
// archives.
var nestedFolders = []string{"BOOT-INF/lib/", "WEB-INF/lib/"}

// Nested counts the archives in an archive's library directory. It fails if the file cannot be
// read; a file that is not an archive has none.
func Nested(r io.ReaderAt, size int64) (count int, err error) {
	b := &places.Bounded{R: r, Left: maxRead}
	for e := range (&archive{b, size}).entries() {
		for _, folder := range nestedFolders {
			if name, inside := strings.CutPrefix(e.name, folder); inside && path.Ext(name) == ".jar" {
				count++
			}
		}
	}
	return count, b.Err
}
