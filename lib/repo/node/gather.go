package node

import (
	"cmp"
	"slices"
	"strings"

	"chunkah/lib/assign"
)

// gather finds each package's top-level one.
func (l *loader) gather() error {
	declared, err := l.declared()
	if err != nil {
		return err
	}
	l.spread(declared)
	l.spread(l.notNeeded())
	for i, p := range l.packages { // what is left needs each other, or is inside of another
		switch {
		case p.group >= 0:
		case p.inside >= 0:
			p.group = l.packages[p.inside].group // came before: it is above
			l.follow([]int{i})
		default:
			l.spread([]int{i})
		}
	}
	return nil
}

// spread makes packages top-level, those that have no group yet.
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

// follow gives everything that the packages in a queue need, directly or not, to
// the group of the nearest one; of the first in the queue, where two are as near.
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

// declared returns what the projects' own package.json ask for, by name.
func (l *loader) declared() (top []int, err error) {
	for _, project := range l.projects {
		record, found := l.tree.Lookup(assign.Join(project, "package.json"))
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
	return l.byName(top), nil
}

// notNeeded returns the packages without a group, inside of no other, that no
// other of those needs, by name.
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

// byName sorts packages by name, and those of one name by path.
func (l *loader) byName(list []int) []int {
	slices.SortFunc(list, func(a, b int) int {
		return cmp.Or(strings.Compare(l.packages[a].name, l.packages[b].name), cmp.Compare(a, b))
	})
	return list
}
