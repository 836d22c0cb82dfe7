// Package xattr is the component repo of those who tag files themselves: the
// extended attribute user.component names a file's component, a directory's
// those of everything below it that has no nearer one. user.update-interval,
// beside it, says how often the component is expected to change: in days, or
// daily, weekly, biweekly, monthly, quarterly or yearly.
package xattr

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

// The attributes.
const (
	attrComponent = "user.component"
	attrInterval  = "user.update-interval"
)

// intervals are the words for days.
var intervals = map[string]int64{
	"daily": 1, "weekly": 7, "biweekly": 14, "monthly": 30, "quarterly": 91, "yearly": 365,
}

// maxInterval bounds an interval, in days: a hundred years.
const maxInterval = 36525

// Repo is the xattr repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return "xattr" }

// Load implements assign.Repo.
func (Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	l := &loader{result: &assign.Result{}, components: make(map[string]int)}
	var above []scope // the directories above the record that set a component
	for i, f := range t.Files {
		for len(above) > 0 && !above[len(above)-1].holds(f.Path) {
			above = above[:len(above)-1]
		}
		c, err := l.component(f)
		if err != nil {
			return nil, err
		}
		switch {
		case c >= 0 && f.Type == format.TypeDir:
			above = append(above, scope{f.Path, c})
		case c < 0 && len(above) > 0:
			c = above[len(above)-1].component
		}
		if c >= 0 {
			l.result.Claims = append(l.result.Claims, assign.Claim{File: i, Component: c})
		}
	}
	if len(l.components) == 0 && len(l.result.Warnings) == 0 {
		return nil, nil
	}
	l.result.Packages = len(l.components)
	return l.result, nil
}

// scope is a directory whose component is inherited.
type scope struct {
	path      string
	component int
}

func (s scope) holds(path string) bool {
	return s.path == "/" || strings.HasPrefix(path, s.path) && len(path) > len(s.path) && path[len(s.path)] == '/'
}

type loader struct {
	result     *assign.Result
	components map[string]int
	setBy      []string // by component: the path that gave it its interval
}

// component returns what the record's own attributes name, -1 for nothing.
func (l *loader) component(f *format.File) (int, error) {
	name, named := value(f, attrComponent)
	days, timed, err := interval(f)
	if err != nil {
		return 0, err
	}
	if !named {
		if timed {
			l.result.Warnings = append(l.result.Warnings,
				fmt.Sprintf("%q has %s without %s: it is left unused", f.Path, attrInterval, attrComponent))
		}
		return -1, nil
	}
	name = strings.TrimRight(name, "\x00\n")
	if name == "" || format.Text(name) != name || len(name) > format.MaxText-len("xattr/") {
		return 0, fmt.Errorf("%s of %q is no component name: %.100q", attrComponent, f.Path, name)
	}
	i, known := l.components[name]
	if !known {
		i = len(l.setBy)
		l.components[name] = i
		l.setBy = append(l.setBy, "")
		l.result.Components = append(l.result.Components, &format.Component{Name: "xattr/" + name})
	}
	if timed {
		return i, l.setInterval(i, f.Path, days)
	}
	return i, nil
}

func (l *loader) setInterval(i int, path string, days int64) error {
	c := l.result.Components[i]
	if c.IntervalDays != 0 && c.IntervalDays != days {
		return fmt.Errorf("%s of %q is %d days and that of %q is %d, both in component %q",
			attrInterval, l.setBy[i], c.IntervalDays, path, days, c.Name)
	}
	c.IntervalDays, l.setBy[i] = days, path
	return nil
}

func interval(f *format.File) (days int64, set bool, err error) {
	text, set := value(f, attrInterval)
	if !set {
		return 0, false, nil
	}
	text = strings.TrimRight(text, "\x00\n")
	if days, known := intervals[text]; known {
		return days, true, nil
	}
	days, err = strconv.ParseInt(text, 10, 64)
	if err != nil || days < 1 || days > maxInterval {
		return 0, false, fmt.Errorf("%s of %q is %.100q: it takes 1 to %d days, or daily, weekly, biweekly, monthly, quarterly, yearly",
			attrInterval, f.Path, text, maxInterval)
	}
	return days, true, nil
}

func value(f *format.File, name string) (string, bool) {
	for _, x := range f.Xattrs {
		if x.Name == name {
			return string(x.Value), true
		}
	}
	return "", false
}
