// Package java is the component repo of Java archives: files named *.jar, *.war and *.ear.
//
// A component is an artifact, "java/ARTIFACT", without version and group. Archives with the same
// name are one component, in any directory. The name is the first of the following that exists:
//
//   - The artifactId that Maven wrote to META-INF/maven/GROUP/ARTIFACT/pom.properties. If other
//     archives were merged into an archive, it can contain several such files, or a file whose
//     version differs from the version in the file name. In this case, the artifactId that matches
//     the file name is used.
//   - The manifest's Implementation-Title, unless it contains the version.
//   - The file's name without its version.
//
// The newest date in an archive is used as the date of its release (see dates.go).
//
// Archives are claimed as a fallback, so a package that lists the file takes precedence.
package java

import (
	"context"
	"io"
	"strings"
	"time"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const repoName = "java"

// suffixes are the suffixes of archives.
var suffixes = []string{".jar", ".war", ".ear"}

// maxName is the longest allowed name, in bytes.
const maxName = 256

// Repo is the java repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	is := func(f *format.File) bool { return stem(f.Path) != "" }
	return places.Single{Repo: repoName, Is: is, Packages: packages, MaxRead: maxRead}.Load(t), nil
}

// packages returns the artifact that an archive is named after, followed by the artifacts that were
// merged into the archive, and the newest date in the archive.
func packages(f *format.File, r io.ReaderAt, size int64) ([]assign.Package, time.Time) {
	plausible := func(at time.Time) bool { return places.CanRelease(f, at) }
	n := (&archive{r, size}).names(plausible)
	return n.packages(stem(f.Path)), n.released
}

// stem returns an archive's file name without its suffix. For other files, it returns "".
func stem(path string) string {
	for _, suffix := range suffixes {
		if stem, found := strings.CutSuffix(path, suffix); found {
			return format.Base(stem)
		}
	}
	return ""
}

// unversioned removes the version from a file's name. The version begins at a dash followed by a
// digit. If there are several such dashes, it begins at the first one in the last group that has no
// other dash in between: the result for "a-1-b-2-3-c" is "a-1-b".
func unversioned(stem string) string {
	cut := -1
	for i := len(stem) - 2; i > 0; i-- {
		if stem[i] != '-' {
			continue
		}
		if isDigit(stem[i+1]) {
			cut = i
		} else if cut >= 0 {
			break
		}
	}
	if cut < 0 {
		return stem
	}
	return stem[:cut]
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
