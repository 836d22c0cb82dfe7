package dpkg

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/repo/pkgdb"
)

// claimPackage claims what one package has.
func (l *loader) claimPackage(e *entry) error {
	l.out.Packages++
	comp := l.out.Component(e.source)
	l.comps[e.name] = comp
	p := &claimer{loader: l, entry: e, comp: comp, claim: l.out.Claim, conffiles: make(map[string]bool)}
	if e.state == stateRemoved {
		p.claim = l.out.ClaimSecond
	}
	if err := p.claimConffiles(); err != nil {
		return err
	}
	if err := p.claimLists(); err != nil {
		return err
	}
	dated, err := l.readChangelogs(e, comp)
	if err != nil || dated {
		return err
	}
	return p.clampByFiles()
}

// claimer claims the files of one package.
type claimer struct {
	*loader
	entry     *entry
	comp      int
	claim     func(comp, file int)
	conffiles map[string]bool
	// newest is the newest mtime of a regular file, in unix seconds.
	newest int64
	found  bool // newest counts
}

// claimConffiles claims the configuration files that the entry names, obsolete
// ones at second hand. Where it names none, the package's own list of them is
// read.
func (p *claimer) claimConffiles() error {
	for _, path := range p.entry.conffiles {
		p.conffiles[path] = true
	}
	for _, path := range p.entry.obsolete {
		p.conffiles[path] = true
	}
	if file := p.db.find(p.entry, ".conffiles"); file != "" && len(p.conffiles) == 0 {
		if _, err := p.each(file, p.conffileLine); err != nil {
			return err
		}
	}
	for _, path := range p.entry.conffiles {
		p.path(path, p.claim, false)
	}
	for _, path := range p.entry.obsolete {
		p.path(path, p.out.ClaimSecond, false)
	}
	return nil
}

func (p *claimer) conffileLine(line []byte) string {
	path := strings.TrimPrefix(string(line), "remove-on-upgrade ")
	if !strings.HasPrefix(path, "/") {
		return "is no path"
	}
	if len(p.conffiles) >= maxConffiles {
		return fmt.Sprintf("there are more than %d configuration files", maxConffiles)
	}
	p.conffiles[path] = true
	p.entry.conffiles = append(p.entry.conffiles, path)
	return ""
}

// claimLists claims what the package lists. Where its list is not there or not
// whole, its md5sums say what else it has.
func (p *claimer) claimLists() error {
	list, sums := p.db.find(p.entry, ".list"), p.db.find(p.entry, ".md5sums")
	if list != "" {
		whole, err := p.claimList(list)
		if err != nil || whole {
			return err
		}
		p.out.Warn("reading %q: is cut short: there may be more files of package %q than are known", list, p.entry.name)
	} else if p.entry.state != stateRemoved && (p.entry.file == "" || sums == "") {
		p.listless = append(p.listless, p.entry.name)
	}
	if sums == "" {
		return nil
	}
	_, err := p.each(sums, func(line []byte) string {
		_, name, ok := bytes.Cut(line, []byte("  "))
		if !ok {
			return "is no digest with a path"
		}
		p.path("/"+strings.TrimLeft(strings.TrimPrefix(string(name), "./"), "/"), p.claim, true)
		return ""
	})
	return err
}

// claimList claims what one list says, and reports whether the list is whole. What
// is a symlink here waits until the directories of the list are known.
func (p *claimer) claimList(list string) (whole bool, err error) {
	clear(p.seen)
	var dir string
	var links []string
	whole, err = p.each(list, func(line []byte) string {
		path := string(line)
		switch {
		case path == "/.", !p.lines.Ended():
			return "" // a path that was cut may be another package's
		case !strings.HasPrefix(path, "/"):
			return "is no absolute path"
		}
		if d := path[:strings.LastIndexByte(path, '/')]; d != dir {
			dir = d
			p.seen[d] = true
		}
		if p.path(path, p.claim, false) == format.TypeSymlink {
			links = append(links, path)
		}
		return ""
	})
	for _, path := range links {
		if !p.seen[path] {
			p.claimLink(path)
		} else if strings.LastIndexByte(path, '/') == 0 && slices.Contains(everywhere, p.entry.source) {
			p.claimMerged(path)
		}
	}
	return whole, err
}

// everywhere are source packages that every Debian has. Together they list all
// directories at the top that may have been merged with those below /usr.
var everywhere = []string{"base-files", "glibc"}

// claimMerged claims a symlink that took the place of a listed directory, which many
// packages list: it is not to move to another layer when one of them comes or goes.
func (p *claimer) claimMerged(path string) {
	if i, ok := p.tree.Find(path); ok {
		p.out.ClaimSecond(p.comp, i)
		p.tree.Name(i, p.entry.name)
	}
}

// path finds a listed path and claims it, except that a symlink is left to the
// caller, who gets the type. Conffiles and md5sums have regular files alone.
func (p *claimer) path(path string, claim func(comp, file int), regular bool) format.Type {
	to, diverted := p.divert(path)
	i, ok := p.tree.Find(to)
	if !ok && diverted {
		// Diverted without a move: it is where it was.
		if i, ok = p.tree.Find(path); ok {
			claim = p.out.ClaimSecond
		}
	}
	if !ok {
		return ""
	}
	f := p.tree.Files[i]
	switch f.Type {
	case format.TypeDir:
		if regular {
			return ""
		}
	case format.TypeSymlink:
		return f.Type
	case format.TypeFile:
		if !p.conffiles[path] && (!p.found || f.MTime > p.newest) {
			p.newest, p.found = f.MTime, true
		}
	}
	claim(p.comp, i)
	p.tree.Name(i, p.entry.name)
	return f.Type
}

// claimLink claims a symlink that is listed.
func (p *claimer) claimLink(path string) {
	to, _ := p.divert(path)
	if i, ok := p.tree.Find(to); ok {
		p.claim(p.comp, i)
		p.tree.Name(i, p.entry.name)
	} else if i, ok := p.tree.Find(path); ok {
		p.out.ClaimSecond(p.comp, i)
	}
}

// clampByFiles bounds the component's times where there is no changelog.
func (p *claimer) clampByFiles() error {
	control, known, err := p.db.controlTime(p.entry)
	if err != nil {
		return err
	}
	switch {
	case known && p.found:
		p.out.Clamp(p.comp, min(control, p.newest))
	case known:
		p.out.Clamp(p.comp, control)
	case p.found:
		p.out.Clamp(p.comp, p.newest)
	}
	return nil
}

// each hands the lines of a package's file to take, which says what is wrong with
// one, "" for nothing. It reports whether there are lines and all have their end.
func (l *loader) each(file string, take func([]byte) string) (whole bool, err error) {
	err = l.lines.Read(l.ctx, l.db.root, file, func(text *pkgdb.Lines) error {
		for text.Next() {
			what := text.Fault()
			if what == "" && len(text.Text()) > 0 {
				what = take(text.Text())
			}
			if what != "" {
				l.out.Warn("reading %q: line %d: %.100q: %s", file, text.Number(), text.Text(), what)
			}
		}
		whole = text.Ended() && text.Number() > 0
		return nil
	})
	return whole, err
}
