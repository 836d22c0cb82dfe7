package format

// jsonScanner tracks the nesting depth of a JSON value by its brackets and quotes.
type jsonScanner struct {
	pos    int
	depth  int
	quoted bool
	escape bool
}

func (s *jsonScanner) closed(buf []byte) int {
	for ; s.pos < len(buf); s.pos++ {
		c := buf[s.pos]
		switch {
		case s.escape:
			s.escape = false
		case s.quoted:
			s.escape = c == '\\'
			s.quoted = c != '"'
		case c == '"':
			s.quoted = true
		case c == '{' || c == '[':
			s.depth++
		case c == '}' || c == ']':
			if s.depth--; s.depth <= 0 {
				return s.pos + 1
			}
		}
	}
	return 0
}
