// Package java is the component repo of Java archives: files named *.jar, *.war and
// *.ear.
//
// A component is an artifact, "java/ARTIFACT", without version and group. Several archives
// of one name are one component, wherever they are. The name is, in this order:
//
//   - the artifactId that Maven left in META-INF/maven/GROUP/ARTIFACT/pom.properties; if
//     there are several (an archive with others merged into it), the one that is also
//     the file's name,
//   - the manifest's Implementation-Title,
//   - the file's name without its version.
//
// Archives are claimed as a fallback: their own name counts for less than a package that
// lists the file.
package java

import (
	"context"
	"strings"

	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const repoName = "java"

// suffixes are those of archives.
var suffixes = []string{".jar", ".war", ".ear"}

// maxName bounds a name, in bytes.
const maxName = 256

// Repo is the java repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	return places.Single(t, repoName, isArchive, name), nil
}

func isArchive(t *assign.Tree, i int) bool { return stem(t.Files[i].Path) != "" }

// stem returns the name of an archive's file without its suffix, "" for other
// files.
func stem(path string) string {
	for _, suffix := range suffixes {
		if stem, found := strings.CutSuffix(path, suffix); found {
			return assign.Base(stem)
		}
	}
	return ""
}

// name returns the name of the archive of record i.
func name(t *assign.Tree, i int) (string, error) {
	said, err := read(t, i)
	if err != nil {
		return "", err
	}
	return said.name(unversioned(stem(t.Files[i].Path))), nil
}

// read returns what the archive of record i says of itself.
func read(t *assign.Tree, i int) (*names, error) {
	f, err := places.OpenRecord(t, i)
	if places.IsUnusable(err) {
		return &names{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a := &archive{r: f, size: t.Files[i].Size}
	said := a.names()
	return said, a.err
}

// unversioned cuts off the version of a file's name: what follows the last dash
// that has a digit behind it, and more of that kind before.
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
