package assign

import (
	"context"
	"slices"
	"testing"
)

// databaseRepo has a database that consists of these files.
type databaseRepo []string

func (databaseRepo) Name() string { return "deb" }

func (d databaseRepo) Load(context.Context, *Tree) (*Result, error) { return &Result{Database: d}, nil }

// A partial database causes a warning. A complete database, a missing database and a database in
// kept layers cause no warning.
func TestPruned(t *testing.T) {
	repo := databaseRepo{"/db/a", "/db/b", "/db/status"}
	for name, c := range map[string]struct {
		header string
		files  []string
		want   []string
	}{
		"whole":       {files: []string{"/db/a", "/db/b", "/db/status", "/x"}},
		"left out":    {files: []string{"/x"}},
		"a part":      {files: []string{"/db/status"}, want: []string{`skipping "/db/a": 2 of 3 files of the deb database are missing, so the database is damaged in the image: exclude the whole database, or none of its files`}},
		"kept layers": {header: `,"sources":["oci:app"],"keep_layers":1`, files: []string{"/db/status"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := []string{`{"header":{"version":1,"stage":"scan"` + c.header + `}}`, rootLine}
			for _, path := range c.files {
				in = append(in, fileLine(path, ""))
			}
			opt := Options{Root: onDisk(t, records(c.files...)), Repos: []Repo{repo}}
			_, outcome, err := run(t, lines(append(in, endLine)...), opt)
			if err != nil || !slices.Equal(outcome.Warnings, c.want) {
				t.Errorf("got %v, %v, want %q", outcome, err, c.want)
			}
		})
	}
}
