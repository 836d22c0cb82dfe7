package java

import (
	"strconv"
	"strings"
	"time"
)

// An archive does not contain its release date. But it is at least as new as everything in it, and
// builds leave dates in three places: attributes of the manifest, the comment in pom.properties,
// and the times of the entries. The newest of these dates is the date of the build or of its
// commit, or, in a few archives, a constant that a project forgot to update. Constants of
// reproducible builds are ignored. Only days are read, because entries and some attributes have no
// time zone.

// dateAttributes are the manifest attributes with a date, in lower case. Bnd writes milliseconds
// since 1970; the others start with a date in the form 2006-01-02.
var dateAttributes = []string{
	"bnd-lastmodified:", "build-date:", "build-time:", "build-timestamp:", "built-date:", "implementation-build-date:",
}

// manifestDates returns the dates in a manifest.
func manifestDates(raw []byte) (dates []time.Time) {
	for _, name := range dateAttributes {
		value := attribute(raw, name)
		if ms, err := strconv.ParseInt(value, 10, 64); err == nil {
			dates = append(dates, day(time.UnixMilli(ms)))
		} else if len(value) >= len(time.DateOnly) {
			if date, err := time.Parse(time.DateOnly, value[:len(time.DateOnly)]); err == nil {
				dates = append(dates, date)
			}
		}
	}
	return dates
}

// propertiesDate returns the date in the comment of a pom.properties, which Java writes as "#Mon
// Feb 28 16:18:22 EST 2022", or the zero time.
func propertiesDate(raw []byte) time.Time {
	for line := range strings.Lines(string(raw)) {
		comment, found := strings.CutPrefix(line, "#")
		if !found {
			break
		}
		if words := strings.Fields(comment); len(words) == 6 {
			if date, err := time.Parse("Jan 2 2006", words[1]+" "+words[2]+" "+words[5]); err == nil {
				return date
			}
		}
	}
	return time.Time{}
}

// bazel is the date that Bazel sets for all entries. Gradle and other tools use dates before 1990.
var bazel = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)

// entryDate returns the day of an entry, from its MS-DOS date, or the zero time.
func entryDate(dos uint16) time.Time {
	date := time.Date(1980+int(dos>>9), time.Month(dos>>5&15), int(dos&31), 0, 0, 0, 0, time.UTC)
	if date.Equal(bazel) {
		return time.Time{}
	}
	return date
}

func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
