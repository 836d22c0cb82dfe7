package registry

import (
	"net/http"
	"strings"
)

// challenge is a server's request for a login (RFC 9110, section 11.3).
type challenge struct {
	scheme string            // in lower case; empty if there is no challenge
	params map[string]string // names in lower case
}

// These are the authentication schemes of registries.
const (
	schemeBasic  = "basic"
	schemeBearer = "bearer"
)

// chooseChallenge returns the challenge to answer. It prefers a challenge for a token to a
// challenge for a password, because the password is then sent only to the token server.
func chooseChallenge(header http.Header) challenge {
	var chosen challenge
	for _, c := range parseChallenges(header.Values("WWW-Authenticate")) {
		if c.scheme == schemeBearer || c.scheme == schemeBasic && chosen.scheme == "" {
			chosen = c
		}
		if chosen.scheme == schemeBearer {
			break
		}
	}
	return chosen
}

// parseChallenges parses WWW-Authenticate headers. Each header can contain several challenges.
// Parsing stops at the first syntax error.
func parseChallenges(values []string) []challenge {
	var list []challenge
	for _, value := range values {
		s := scanner{rest: value}
		for s.skip(" \t,") {
			scheme := s.token()
			if scheme == "" {
				break
			}
			c := challenge{scheme: strings.ToLower(scheme), params: make(map[string]string)}
			s.params(c.params)
			list = append(list, c)
		}
	}
	return list
}

// scanner reads a header's value from left to right.
type scanner struct{ rest string }

// skip skips these characters and reports whether anything is left.
func (s *scanner) skip(chars string) bool {
	s.rest = strings.TrimLeft(s.rest, chars)
	return s.rest != ""
}

// token reads a token of RFC 9110, or returns an empty string.
func (s *scanner) token() string {
	end := strings.IndexFunc(s.rest, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
	if end < 0 {
		end = len(s.rest)
	}
	token := s.rest[:end]
	s.rest = s.rest[end:]
	return token
}

// params reads NAME=VALUE, NAME=VALUE, ... up to the next challenge, which begins with a token
// without "=".
func (s *scanner) params(params map[string]string) {
	for s.skip(" \t,") {
		before := s.rest
		name := s.token()
		s.skip(" \t")
		if name == "" || !strings.HasPrefix(s.rest, "=") {
			s.rest = before
			return
		}
		s.rest = s.rest[1:]
		s.skip(" \t")
		params[strings.ToLower(name)] = s.value()
	}
}

// value reads a token or a quoted string.
func (s *scanner) value() string {
	if !strings.HasPrefix(s.rest, `"`) {
		end := strings.IndexAny(s.rest, " \t,") // looser than a token, because some servers do not quote URLs
		if end < 0 {
			end = len(s.rest)
		}
		value := s.rest[:end]
		s.rest = s.rest[end:]
		return value
	}
	var value strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '"':
			s.rest = s.rest[i+1:]
			return value.String()
		case '\\':
			if i++; i == len(s.rest) {
				continue
			}
		}
		value.WriteByte(s.rest[i])
	}
	s.rest = "" // no closing quote
	return value.String()
}
