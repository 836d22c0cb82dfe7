package places

import (
	"cmp"
	"slices"
	"strings"
)

// Least is the smallest size, in bytes, of a package with its own component in ecosystems with
// hundreds of packages per tree. A smaller layer is not worth a request to a registry.
const Least = 1 << 20

// Member is a package of a project whose small packages share components.
type Member struct {
	Name string
	// Size counts the bytes that no other repo claims.
	Size int64
	// Needs lists the members that this member needs, sorted by name.
	Needs []int
	// Inside is the member whose directory contains this member, or -1 if there is no such member.
	// That member comes earlier in the list.
	Inside int
	// Group is the member after which the component is named: the member itself if it has at least
	// Least bytes, or else the top-level member that needs it. Gather sets Group.
	Group int
}

// Embedder is a *Member, or a struct that embeds a Member.
type Embedder interface{ member() *Member }

func (m *Member) member() *Member { return m }

// Gather finds the group of each member. A small member joins the top-level member that needs it.
// If several top-level members need it, it joins the nearest of them, and among equally near
// members the first by name. The members in asked, which the project requires, are top-level. Among
// the members that are still without a group, those that no other such member needs become
// top-level too.
func Gather[P Embedder](packages []P, asked []int) {
	members := make([]*Member, len(packages))
	for i, p := range packages {
		members[i] = p.member()
		members[i].Group = -1
	}
	g := gatherer(members)
	g.spread(g.byName(asked))
	g.spread(g.notNeeded())
	for i, m := range members { // the remaining members need each other, or are inside other members
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

// spread makes the given members top-level if they have no group yet, and spreads their groups.
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
// the nearest one. If two members are equally near, the first in the queue is used.
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

// notNeeded returns, sorted by name, the members without a group that are not inside another member
// and that no other member without a group needs.
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

// byName sorts members by name. Members with the same name keep their order.
func (g gatherer) byName(list []int) []int {
	slices.SortFunc(list, func(a, b int) int {
		return cmp.Or(strings.Compare(g[a].Name, g[b].Name), cmp.Compare(a, b))
	})
	return list
}
