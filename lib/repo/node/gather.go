package node

import (
	"cmp"
	"slices"
	"strings"

	"chunkah/lib/assign"
)

// gather assigns each package to a top-level package.
func (l *loader) gather() error {
	declared, err := l.declared()
	if err != nil {
		return err
	}
	l.spread(declared)
	l.spread(l.notNeeded())
	for i, p := range l.packages { // the rest need each other, or are inside another package
		switch {
		case p.group >= 0:
		case p.inside >= 0:
			p.group = l.packages[p.inside].group // it is above, so it has one already
			l.follow([]int{i})
		default:
			l.spread([]int{i})
		}
	}
	return nil
}

// spread makes packages without a group top-level.
func (l *loader) spread(top []int) {
	var queue []int
	for _, i := range top {
		if p := l.packages[i]; p.group < 0 {
			p.group = i
			queue = append(queue, i)
		}
	}
	l.follow(queue)
}

// follow assigns everything that the packages in a queue need, directly or not, to the group of the
// nearest one. If two are equally near, the first in the queue counts.
func (l *loader) follow(queue []int) {
	for ; len(queue) > 0; queue = queue[1:] {
		p := l.packages[queue[0]]
		for _, name := range p.needs {
			i, found := l.resolve(p.dir, name)
			if found && l.packages[i].group < 0 {
				l.packages[i].group = p.group
				queue = append(queue, i)
			}
		}
	}
}

// declared returns the packages that the projects' own package.json list, by name.
func (l *loader) declared() (top []int, err error) {
	for _, project := range l.projects {
		record, found := l.tree.Lookup(assign.Join(project, "package.json"))
		if !found {
			continue
		}
		needs, err := l.read(record, project, true)
		if err != nil {
			return nil, err
		}
		for _, name := range needs {
			if i, found := l.resolve(project, name); found {
				top = append(top, i)
			}
		}
	}
	return l.byName(top), nil
}

// notNeeded returns packages without a group that are not inside another package and that no other
// such package needs, by name.
func (l *loader) notNeeded() []int {
	needed := make([]bool, len(l.packages))
	for from, p := range l.packages {
		if p.group >= 0 {
			continue
		}
		for _, name := range p.needs {
			if i, found := l.resolve(p.dir, name); found && i != from {
				needed[i] = true
			}
		}
	}
	var top []int
	for i, p := range l.packages {
		if p.group < 0 && p.inside < 0 && !needed[i] {
			top = append(top, i)
		}
	}
	return l.byName(top)
}

// byName sorts packages by name and path.
func (l *loader) byName(list []int) []int {
	slices.SortFunc(list, func(a, b int) int {
		return cmp.Or(strings.Compare(l.packages[a].name, l.packages[b].name), cmp.Compare(a, b))
	})
	return list
}
