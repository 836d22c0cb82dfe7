package java

import (
	"io"
	"path"
	"strings"

	"chunkah/lib/repo/places"
)

// nestedFolders are the folders of libraries in archives: of Spring Boot, and in web
// archives.
var nestedFolders = []string{"BOOT-INF/lib/", "WEB-INF/lib/"}

// Nested counts the archives inside of an archive, in the folder where it has its
// libraries. An error is that of reading the file; a file that is no archive has none.
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
