package sbom

import (
	"strings"
)

// purl returns the package URL (purl-spec). Qualifiers are sorted by name.
func (p *Package) purl(system System) string {
	namespace, name, version, epoch := p.Namespace, p.Name, p.Version, ""
	ofSystem := false
	switch p.Type {
	case "deb", "apk", "alpm":
		namespace, ofSystem = system.ID, true
	case "rpm":
		namespace, ofSystem = system.ID, true
		if e, rest, found := strings.Cut(version, ":"); found {
			epoch, version = e, rest
		}
	case "opkg":
		ofSystem = true
	case "composer": // registered in lower case
		name = strings.ToLower(name)
		fallthrough
	case "npm", "golang":
		if cut := strings.LastIndexByte(name, '/'); cut >= 0 {
			namespace, name = name[:cut], name[cut+1:]
		}
	}
	var b strings.Builder
	b.WriteString("pkg:" + p.Type + "/")
	for part := range strings.SplitSeq(namespace, "/") {
		if part != "" {
			b.WriteString(escape(part) + "/")
		}
	}
	b.WriteString(escape(name))
	if version != "" {
		b.WriteString("@" + escape(version))
	}
	if !ofSystem {
		return b.String()
	}
	sep := byte('?')
	for _, q := range []struct{ key, value string }{
		{"arch", p.Arch}, {"distro", system.distro()}, {"epoch", epoch}, {"upstream", p.upstream()},
	} {
		if q.value != "" {
			b.WriteByte(sep)
			b.WriteString(q.key + "=" + escape(q.value))
			sep = '&'
		}
	}
	return b.String()
}

// upstream returns the source package. It includes the source version if that differs from the
// package's version.
func (p *Package) upstream() string {
	if p.SourceVersion == "" {
		return p.Source
	}
	if p.Source == "" {
		return p.Name + "@" + p.SourceVersion
	}
	return p.Source + "@" + p.SourceVersion
}

// escape encodes everything except unreserved characters and colons as %XX (purl-spec, "Character
// encoding").
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; unreserved(c) || c == ':' {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
		}
	}
	return b.String()
}

// unreserved reports whether a character needs no escape (RFC 3986, section 2.3).
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
