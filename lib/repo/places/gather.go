package places

import (
	"cmp"
	"slices"
	"strings"
)

// Least is the size, in bytes, from which a package gets its own component in ecosystems with
// hundreds of packages per tree: a smaller layer is not worth a request to a registry.
const Least = 1 << 20

// Member is a package of a project whose small packages share components.
type Member struct {
	Name string
	// Size counts the bytes that no other repo claims.
	Size int64
	// Needs are the members that it needs, in the order of their names.
	Needs []int
	// Inside is the member whose directory contains this one, -1 for none. It comes earlier in the
	// list.
	Inside int
	// Group is the member that its component is named after: itself from Least bytes
	// on, else the top-level member that needs it. Gather sets it.
	Group int
}

// Embedder is a *Member, or a struct that embeds a Member.
type Embedder interface{ member() *Member }

func (m *Member) member() *Member { return m }

// Gather finds the group of each member. A small member joins the top-level member that needs it:
// the one that is the fewest steps away, or else the first by name. The members that the project
// asks for are top-level, followed by members that no other member needs.
func Gather[P Embedder](packages []P, asked []int) {
	members := make([]*Member, len(packages))
	for i, p := range packages {
		members[i] = p.member()
		members[i].Group = -1
	}
	g := gatherer(members)
	g.spread(g.byName(asked))
	g.spread(g.notNeeded())
	for i, m := range members { // the remaining ones need each other, or are inside others
		switch {
		case m.Group >= 0:
		case m.Inside >= 0:
			m.Group = members[m.Inside].Group
			g.follow([]int{i})
		default:
			g.spread([]int{i})
		}
	}
	for i, m := range members {
		if m.Size >= Least {
			m.Group = i
		}
	}
}

type gatherer []*Member

// spread makes those members top-level that have no group yet.
func (g gatherer) spread(top []int) {
	var queue []int
	for _, i := range top {
		if g[i].Group < 0 {
			g[i].Group = i
			queue = append(queue, i)
		}
	}
	g.follow(queue)
}

// follow adds everything that the members in a queue need, directly or indirectly, to the group of
// the nearest one. If two are equally near, the first in the queue is used.
func (g gatherer) follow(queue []int) {
	for ; len(queue) > 0; queue = queue[1:] {
		m := g[queue[0]]
		for _, i := range m.Needs {
			if g[i].Group < 0 {
				g[i].Group = m.Group
				queue = append(queue, i)
			}
		}
	}
}

// notNeeded returns, by name, the members without a group that are not inside another one, and that
// no other of them needs.
func (g gatherer) notNeeded() []int {
	needed := make([]bool, len(g))
	for from, m := range g {
		if m.Group >= 0 {
			continue
		}
		for _, i := range m.Needs {
			if i != from {
				needed[i] = true
			}
		}
	}
	var top []int
	for i, m := range g {
		if m.Group < 0 && m.Inside < 0 && !needed[i] {
			top = append(top, i)
		}
	}
	return g.byName(top)
}

// byName sorts members by name, and those with the same name in the order of the list.
func (g gatherer) byName(list []int) []int {
	slices.SortFunc(list, func(a, b int) int {
		return cmp.Or(strings.Compare(g[a].Name, g[b].Name), cmp.Compare(a, b))
	})
	return list
}
