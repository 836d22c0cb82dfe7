package doctor

import (
	"path"
	"slices"
	"strings"

	"chunkah/format"
)

// secretNames are patterns for the names of files that usually contain a secret.
var secretNames = []string{
	"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.pem", "*.key", "*.p12", "*.pfx", "*.kdbx", "*.keytab", "*.gpg-key", ".env", ".netrc", ".pgpass", ".my.cnf",
	".git-credentials", ".npmrc", ".pypirc", ".htpasswd", "auth.json", "shadow", "gshadow", "*secret*", "*password*", "*passwd*", "*credential*", "*token*",
	"ssh_host_*_key", ".*_history",
}

// isSecret reports whether a file's name suggests that it contains a secret.
func isSecret(file string) bool {
	if strings.HasSuffix(file, "/.docker/config.json") {
		return true
	}
	name := strings.ToLower(path.Base(file))
	return slices.ContainsFunc(secretNames, func(pattern string) bool {
		matches, _ := path.Match(pattern, name)
		return matches
	})
}

// findRemoved finds files in lower layers that are no longer visible in the image and whose names
// suggest a secret.
func findRemoved(e *Examiner, f Finding) (_ Finding, found bool) {
	for _, r := range e.opt.Removed {
		if !isSecret(r.Path) {
			continue
		}
		f.Files, f.Bytes = f.Files+1, f.Bytes+r.Size
		f.Places = append(f.Places, Place{r.Path, 1, r.Size})
	}
	slices.SortFunc(f.Places, func(a, b Place) int { return format.ComparePaths(a.Path, b.Path) })
	f.Advice = "build the image from its root without --max-stale and --keep-base, so that the image contains only the root's files; treat these secrets as leaked"
	return f, len(f.Places) > 0
}
