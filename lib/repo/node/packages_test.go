package node

import (
	"testing"

	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/lib/repo/places/placestest"
)

// TestPackages checks the data for a bill of materials. It contains each version, under the name in
// package.json.
func TestPackages(t *testing.T) {
	r := placestest.New(t)
	r.File(app+"@s/x/package.json", `{"name": "@s/x", "version": "1.2.3-rc.1+b", "license": "MIT"}`)
	r.File(app+"alias/package.json", `{"name": "real", "version": "2.0.0", "license": {"type": "ISC"}}`)
	r.File(app+"alias/node_modules/real/package.json", `{"name": "real", "version": "1.0.0", "license": "(MIT OR ISC)"}`)
	r.File(app+"odd/package.json", `{"name": 1, "version": [2]}`)
	pkgdbtest.Equal(t, "packages", pkgdbtest.Packages(r.Assign(Repo{}).Packages), pkgdbtest.Lines(
		"npm - @s/x 1.2.3-rc.1+b - - - MIT",
		"npm - real 2.0.0 - - - -",
		"npm - real 1.0.0 - - - (MIT OR ISC)",
		"npm - odd - - - - -",
	))
}
