package python

import (
	"errors"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

// listEggInfo claims the files that an egg-info directory lists.
func (l *loader) listEggInfo(d *dist, p *assign.Package) error {
	raw, found, err := l.read(d, "installed-files.txt")
	if err != nil {
		return err
	}
	if found {
		return l.claimList(d, p, "installed-files.txt", raw, func(line []byte) (string, error) {
			path := string(line)
			return resolve(d.info, path), checkPath(path)
		})
	}
	if raw, found, err = l.read(d, "SOURCES.txt"); err != nil {
		return err
	}
	if found {
		inProject := projectPath(raw, format.Base(d.info))
		err := l.claimList(d, p, "SOURCES.txt", raw, func(line []byte) (string, error) {
			return sourcePath(d.site, inProject, string(line)), checkPath(string(line))
		})
		if err != nil {
			return err
		}
	}
	return l.listModules(d, p)
}

// projectPath returns the path, relative to the project, of the directory that contains the
// egg-info: for example "src", or "" for the project's own directory. It finds the path in the list
// of sources, which also lists files of the egg-info.
func projectPath(raw []byte, base string) string {
	found := ""
	for _, line := range lines(raw) {
		dir, file, _ := strings.Cut(string(line), ".egg-info/")
		if file != "PKG-INFO" && file != "SOURCES.txt" || len(line) > maxLine {
			continue
		}
		cut := strings.LastIndexByte(dir, '/')
		found = strings.TrimSuffix(dir[:cut+1], "/")
		if dir[cut+1:]+".egg-info" == base {
			break
		}
	}
	return found
}

// sourcePath returns the installed path of a file in a list of sources. inProject is the egg-info's
// directory in the project. site is the directory that contains the egg-info and the files beside
// it: the project itself, or the place where it was installed. "" means that the file does not
// exist.
func sourcePath(site, inProject, path string) string {
	if strings.HasPrefix(path, "/") || inProject == "" {
		return resolve(site, path)
	}
	if rest, below := strings.CutPrefix(path, inProject+"/"); below {
		return resolve(site, rest)
	}
	if project, inside := strings.CutSuffix(site, "/"+inProject); inside {
		return project + "/" + path
	}
	return ""
}

var errModule = errors.New("is not a module name")

// listModules keeps the modules in top_level.txt until all lists have been read.
func (l *loader) listModules(d *dist, p *assign.Package) error {
	raw, found, err := l.read(d, "top_level.txt")
	if err != nil || !found {
		return err
	}
	return l.claimList(d, p, "top_level.txt", raw, func(line []byte) (string, error) {
		name := strings.TrimSpace(string(line))
		if name == "" {
			return "", nil
		}
		for element := range strings.SplitSeq(name, "/") {
			if element == "" || element == "." || element == ".." || len(element) > format.MaxName {
				return "", errModule
			}
		}
		if path := format.Join(d.site, name); !l.named[path] {
			l.named[path] = true
			l.modules = append(l.modules, module{pkg: p, path: path})
		}
		return "", nil
	})
}
