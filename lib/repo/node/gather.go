package node

import (
	"chunkah/format"
	"chunkah/lib/repo/places"
)

// gather assigns each package to a top-level package.
func (l *loader) gather() error {
	declared, err := l.declared()
	if err != nil {
		return err
	}
	for i, p := range l.packages {
		for _, name := range l.needs[i] {
			if need, found := l.resolve(p.dir, name); found {
				p.Needs = append(p.Needs, need)
			}
		}
	}
	places.Gather(l.packages, declared)
	return nil
}

// declared returns the packages that the projects' own package.json files list, sorted by name.
func (l *loader) declared() (top []int, err error) {
	for _, project := range l.projects {
		record, found := l.tree.Lookup(format.Join(project, "package.json"))
		if !found {
			continue
		}
		needs, _, err := l.read(record, project, true)
		if err != nil {
			return nil, err
		}
		for _, name := range needs {
			if i, found := l.resolve(project, name); found {
				top = append(top, i)
			}
		}
	}
	return top, nil
}
