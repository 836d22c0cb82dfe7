package dpkg

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/repo/pkgdb"
)

// maxDiversions is the largest number of diversions.
const maxDiversions = 1 << 20

// diversion is the new path of a file for all packages except the diverting package.
type diversion struct {
	to string
	by string // the diverting package, ":" for none
}

// readDiversions reads the diversions. Each diversion consists of three lines: from, to and by.
func (l *loader) readDiversions(ctx context.Context) error {
	path, found, err := pkgdb.File(l.db.root, format.Join(l.db.dir, "diversions"))
	if err != nil || !found {
		return err
	}
	return l.lines.Read(ctx, l.db.root, path, func(text *pkgdb.Lines) error {
		l.diversions, err = parseDiversions(text)
		return err
	})
}

func parseDiversions(text *pkgdb.Lines) (map[string]diversion, error) {
	list := make(map[string]diversion)
	var group []string
	for text.Next() {
		line := string(text.Text())
		switch {
		case text.Fault() != "":
			return nil, fmt.Errorf("line %d: %s", text.Number(), text.Fault())
		case len(list) >= maxDiversions:
			return nil, fmt.Errorf("line %d: more than %d diversions", text.Number(), maxDiversions)
		case len(group) < 2 && !strings.HasPrefix(line, "/"):
			return nil, fmt.Errorf("line %d: %.100q is not an absolute path", text.Number(), line)
		case line == "":
			return nil, fmt.Errorf("line %d: no package", text.Number())
		}
		if group = append(group, line); len(group) == 3 {
			list[group[0]] = diversion{to: group[1], by: group[2]}
			group = group[:0]
		}
	}
	if len(group) > 0 && text.Err() == nil {
		return nil, fmt.Errorf("line %d: %w", text.Number(), errCut)
	}
	return list, nil
}

// divert returns the path at which a listed path of the package is installed.
func (p *claimer) divert(path string) (to string, diverted bool) {
	d, ok := p.diversions[path]
	if !ok || d.by == p.entry.Name {
		return path, false
	}
	return d.to, true
}

// claimDiverted claims both paths of each diversion for the diverting package, as fallback claims.
func (l *loader) claimDiverted() error {
	for _, from := range slices.Sorted(maps.Keys(l.diversions)) {
		d := l.diversions[from]
		p := l.packages[d.by]
		if p == nil {
			continue
		}
		for _, path := range []string{from, d.to} {
			i, ok, err := l.tree.Find(path)
			if err != nil {
				return err
			}
			if ok {
				l.out.ClaimSecond(p, i)
			}
		}
	}
	return nil
}
