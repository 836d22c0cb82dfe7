// Package xattr is the component repo of extended attributes that users set:
//
//   - user.component on a file names the file's component. On a directory, it names the component
//     of everything below the directory, unless a nearer directory or the file itself sets
//     user.component.
//   - user.update-interval specifies how often that component changes: a number of days, or daily,
//     weekly, biweekly, monthly, quarterly or yearly. On a file without user.component, it applies
//     to the file's package.
//
// The behaviour is the same as in the Rust chunkah, except that there user.update-interval has no
// effect on a file without user.component.
package xattr

import (
	"context"
	"fmt"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

const repoName = "xattr"

// These are the names of the attributes.
const (
	attrComponent = "user.component"
	attrInterval  = "user.update-interval"
)

// Repo is the xattr repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	l := &loader{result: &assign.Result{}, components: make(map[string]*namedComponent)}
	var above []scope // directories, above the record, that set a component
	for i, f := range t.Files {
		for len(above) > 0 && !format.IsBelow(above[len(above)-1].path, f.Path) {
			above = above[:len(above)-1]
		}
		c, err := l.component(f)
		if err != nil {
			return nil, err
		}
		switch {
		case c != nil && f.Type == format.TypeDir:
			above = append(above, scope{f.Path, c})
		case c == nil && len(above) > 0:
			c = above[len(above)-1].component
		}
		if c != nil {
			l.result.Claims = append(l.result.Claims, assign.Claim{File: i, Package: &c.Package})
		}
		if err := l.interval(i, f, c); err != nil {
			return nil, err
		}
	}
	if l.unread > 0 {
		l.result.Warnings = append(l.result.Warnings, fmt.Sprintf("%s is invalid and ignored on %d files, for example %s", attrInterval, l.unread, l.example))
	}
	if len(l.components) == 0 && len(l.result.Intervals) == 0 && l.unread == 0 {
		return nil, nil
	}
	var err error
	l.result.Follows, err = assign.FollowLinks(t, l.result.Claims)
	return l.result, err
}

// scope is a directory with an inherited component.
type scope struct {
	path      string
	component *namedComponent
}

// namedComponent is a component from an xattr.
type namedComponent struct {
	assign.Package

	setBy string // the path that sets its interval
}

type loader struct {
	result     *assign.Result
	components map[string]*namedComponent
	// unread is the number of invalid intervals on files without a component. example is the first
	// of them.
	unread  int
	example string
}

// component returns the component in the record's own attribute, or nil if the attribute is not
// set.
func (l *loader) component(f *format.File) (*namedComponent, error) {
	name, named := value(f, attrComponent)
	if !named {
		return nil, nil
	}
	name = strings.TrimRight(name, "\x00\n")
	if format.Text(name) != name || len(name) > format.MaxText-len(repoName+"/") {
		return nil, fmt.Errorf("%s of %q is not a component name: %.100q", attrComponent, f.Path, name)
	}
	c := l.components[name]
	if c == nil {
		c = &namedComponent{Package: assign.Package{Component: &format.Component{Name: repoName + "/" + name}}}
		l.components[name] = c
		l.result.Packages = append(l.result.Packages, &c.Package)
	}
	return c, nil
}

// interval reads a record's interval. If no xattr sets the record's component, the interval is kept
// for the component that the record gets later.
func (l *loader) interval(file int, f *format.File, c *namedComponent) error {
	text, set := value(f, attrInterval)
	if !set {
		return nil
	}
	text = strings.TrimRight(text, "\x00\n")
	days, err := assign.ParseInterval(text)
	switch {
	case err != nil && c != nil:
		return fmt.Errorf("%s of %q is %.100q: %w", attrInterval, f.Path, text, err)
	case err != nil:
		if l.unread++; l.unread == 1 {
			l.example = fmt.Sprintf("%.100q of %q", text, f.Path)
		}
	case c != nil:
		return c.setInterval(f.Path, days)
	default:
		l.result.Intervals = append(l.result.Intervals, assign.Interval{File: file, Days: days})
	}
	return nil
}

func (c *namedComponent) setInterval(path string, days int64) error {
	if said := c.Component.IntervalDays; said != 0 && said != days {
		return fmt.Errorf("%s of %q is %d days, but the value for %q is %d, both in component %q",
			attrInterval, c.setBy, said, path, days, c.Component.Name)
	}
	c.Component.IntervalDays, c.setBy = days, path
	return nil
}

func value(f *format.File, name string) (string, bool) {
	for _, x := range f.Xattrs {
		if x.Name == name {
			return string(x.Value), true
		}
	}
	return "", false
}
