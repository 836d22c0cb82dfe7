package python

import (
	"errors"
	"strings"

	"chunkah/format"
	"chunkah/lib/repo/places"
)

// listEggInfo claims what an egg-info directory lists.
func (l *loader) listEggInfo(d *dist, number int) error {
	raw, found, err := l.read(d, "installed-files.txt")
	if err != nil {
		return err
	}
	if found {
		l.each(d, "installed-files.txt", raw, func(line []byte) error {
			path := string(line)
			l.claimPath(number, resolve(d.info, path))
			return checkPath(path)
		})
		return nil
	}
	if raw, found, err = l.read(d, "SOURCES.txt"); err != nil {
		return err
	}
	if found {
		inProject := projectPath(raw, places.Base(d.info))
		l.each(d, "SOURCES.txt", raw, func(line []byte) error {
			if err := checkPath(string(line)); err != nil {
				return err
			}
			if path, ok := sourcePath(d.site, inProject, string(line)); ok {
				l.claimPath(number, path)
			}
			return nil
		})
	}
	return l.listModules(d, number)
}

// projectPath returns where in its project the egg-info directory is that has
// this list of sources, "src" or "" for the project's own directory: the list
// has files of the egg-info itself.
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

// sourcePath returns where a file is that a list of sources names from its
// project's directory. The egg-info in site is there from inProject: in the
// project itself, or, installed, with all that was beside it.
func sourcePath(site, inProject, path string) (string, bool) {
	if strings.HasPrefix(path, "/") || inProject == "" {
		return resolve(site, path), true
	}
	if rest, below := strings.CutPrefix(path, inProject+"/"); below {
		return resolve(site, rest), true
	}
	if project, inside := strings.CutSuffix(site, "/"+inProject); inside {
		return project + "/" + path, true
	}
	return "", false
}

var errModule = errors.New("is no module's name")

// listModules keeps the modules that top_level.txt names for when all lists have
// been read.
func (l *loader) listModules(d *dist, number int) error {
	raw, found, err := l.read(d, "top_level.txt")
	if err != nil || !found {
		return err
	}
	l.each(d, "top_level.txt", raw, func(line []byte) error {
		name := strings.TrimSpace(string(line))
		if name == "" {
			return nil
		}
		for element := range strings.SplitSeq(name, "/") {
			if element == "" || element == "." || element == ".." || len(element) > format.MaxName {
				return errModule
			}
		}
		if path := places.Join(d.site, name); !l.named[path] {
			l.named[path] = true
			l.modules = append(l.modules, module{dist: number, path: path})
		}
		return nil
	})
	return nil
}
