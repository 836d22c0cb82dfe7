package python

import (
	"testing"

	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/lib/repo/places/placestest"
)

// TestPackages checks the data for a bill of materials, from the metadata or else from the record's
// name.
func TestPackages(t *testing.T) {
	r := placestest.New(t)
	r.File(site+"/Jinja2-3.1.dist-info/METADATA", "Name: Jinja2\nVersion: 3.1.4\nLicense: BSD\nLicense-Expression: BSD-3-Clause\n\nVersion: 9\nLicense: no\n")
	r.File(site+"/text-1.dist-info/METADATA", "Version: 1\nLicense: The MIT License\n  Permission is hereby granted\n").File(site+"/text-1.dist-info/RECORD", "")
	r.File(site+"/bare-2.0-py3.11.egg-info", "").File(site+"/older-0.1-py3.9.egg", "PK")
	r.File(site+"/told-1.egg-info/PKG-INFO", "License: UNKNOWN\r\nVersion: 1.0\r\n").File(site+"/nameless-4.dist-info/RECORD", "")
	a := r.Assign(Repo{})
	pkgdbtest.Equal(t, "packages", pkgdbtest.Packages(a.Packages), pkgdbtest.Lines(
		"pypi - jinja2 3.1.4 - - - BSD-3-Clause",
		"pypi - bare 2.0 - - - -",
		"pypi - nameless 4 - - - -",
		"pypi - older 0.1 - - - -",
		"pypi - text 1 - - - -",
		"pypi - told 1.0 - - - -",
	))
}
