package assign

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"chunkah/format"
)

// intervals maps words to numbers of days, as in the Rust chunkah.
var intervals = map[string]int64{
	"daily": 1, "weekly": 7, "biweekly": 14, "monthly": 30, "quarterly": 90, "yearly": 365,
}

// errInterval lists the valid intervals.
var errInterval = errors.New("must be a number of days, or daily, weekly, biweekly, monthly, quarterly or yearly")

// ParseInterval parses an interval between updates, which is a number of days or a word. The result
// is at most the largest number that a stream can contain.
func ParseInterval(text string) (days int64, err error) {
	if days, known := intervals[text]; known {
		return days, nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || n == 0 {
		return 0, errInterval
	}
	return int64(min(n, format.MaxInt)), nil
}

// Interval is the number of days between updates that the user set on a file. It applies to the
// file's component.
type Interval struct {
	File int // an index into Tree.Files
	Days int64
}

// KnownInterval is the number of days between updates that the user set for a component. It
// replaces the component's history, because a package can be rebuilt more often than its history
// shows.
type KnownInterval struct {
	Component string
	Days      int64
	// Absent is the warning for a tree without the component. It is empty if no warning is needed.
	Absent string
}

// setKnown sets the intervals that the user specified by component name.
func (out *Outcome) setKnown(list []KnownInterval) {
	index := make(map[string]int, len(out.Components))
	for i, c := range out.Components {
		index[c.Name] = i
	}
	for _, known := range list {
		i, found := index[known.Component]
		if !found {
			if known.Absent != "" {
				out.Warnings = append(out.Warnings, known.Absent)
			}
			continue
		}
		c := *out.Components[i]
		c.IntervalDays, c.Updates = known.Days, nil
		out.Components[i] = &c
	}
}

// setIntervals sets each component's interval to the shortest interval that was set on its files.
// The interval replaces the history of a package. An interval from a repo takes precedence.
func (out *Outcome) setIntervals(t *Tree, list []Interval) {
	type shortest struct {
		days, other int64 // other is a different number, or 0
	}
	found := make(map[string]*shortest)
	var order []string
	for _, i := range list {
		names := t.Files[i.File].Components
		if len(names) != 1 {
			continue // the directory has several components, or none
		}
		switch s := found[names[0]]; {
		case s == nil:
			found[names[0]] = &shortest{days: i.Days}
			order = append(order, names[0])
		case s.days != i.Days:
			s.days, s.other = min(s.days, i.Days), max(s.days, i.Days)
		}
	}
	known := make(map[string]int, len(out.Components))
	for i, c := range out.Components {
		known[c.Name] = i
	}
	differ, example := 0, ""
	for _, name := range order {
		s := found[name]
		i, is := known[name]
		if !is {
			out.Components = append(out.Components, &format.Component{Name: name, IntervalDays: s.days})
		} else if out.Components[i].IntervalDays == 0 {
			c := *out.Components[i]
			c.IntervalDays, c.Updates = s.days, nil
			out.Components[i] = &c
		}
		if s.other == 0 {
			continue
		}
		if differ++; differ == 1 {
			example = fmt.Sprintf("%q (%d and %d days)", name, s.days, s.other)
		}
	}
	if differ > 0 {
		out.Warnings = append(out.Warnings,
			fmt.Sprintf("components whose files have different update intervals: %d, for example %s: their shortest interval is used", differ, example))
	}
}
