package assign

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"chunkah/format"
)

// intervals are the words for days. They are those of the Rust chunkah.
var intervals = map[string]int64{
	"daily": 1, "weekly": 7, "biweekly": 14, "monthly": 30, "quarterly": 90, "yearly": 365,
}

// errInterval says what an interval may be.
var errInterval = errors.New("it takes a number of days from 1 on, or daily, weekly, biweekly, monthly, quarterly, yearly")

// ParseInterval reads how often a component is expected to change, as people write it:
// days, or a word for them. More days than a stream holds are as many as it holds.
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

// Interval is what people say of one file without a component of their own: how many
// days there are between updates of whatever it belongs to.
type Interval struct {
	File int // an index into Tree.Files
	Days int64
}

// setIntervals gives components the intervals that are said of their files. What a repo
// has said of a component counts more; of several intervals the shortest one.
func (out *Outcome) setIntervals(t *Tree, list []Interval) {
	type said struct {
		days, other int64 // the shortest, and another one if there is one
	}
	found := make(map[string]*said)
	var order []string
	for _, i := range list {
		names := t.Files[i.File].Components
		if len(names) != 1 {
			continue // a directory of several components, or of none
		}
		switch s := found[names[0]]; {
		case s == nil:
			found[names[0]] = &said{days: i.Days}
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
			c.IntervalDays = s.days
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
			fmt.Sprintf("the update intervals of files differ within %d components, for example %s: the shortest one counts", differ, example))
	}
}
