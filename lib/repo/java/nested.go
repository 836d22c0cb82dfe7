package java

import (
	"bufio"
	"io"
	"path"
	"strings"
)

// nestedFolders are where an archive has the libraries that it is made of: that of
// Spring Boot, and a web archive.
var nestedFolders = []string{"BOOT-INF/lib/", "WEB-INF/lib/"}

// Nested counts the archives inside of an archive, in the folder where it has its
// libraries. An error is that of reading the file; what is not an archive has none.
func Nested(r io.ReaderAt, size int64) (int, error) {
	a := &archive{r: r, size: size}
	at, n, _, err := a.directory()
	if err != nil {
		return 0, a.err
	}
	count := 0
	in := bufio.NewReader(io.NewSectionReader(readerAt{a}, at, n))
	for {
		e, ok := next(in)
		if !ok {
			return count, a.err
		}
		for _, folder := range nestedFolders {
			if name, inside := strings.CutPrefix(e.name, folder); inside && path.Ext(name) == ".jar" {
				count++
			}
		}
	}
}
