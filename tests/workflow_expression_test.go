package tests

import (
	"regexp"
	"strings"
)

// combinations returns the values of a matrix with one key, or one empty combination if there is no
// matrix.
func combinations(matrix map[string][]string) []map[string]string {
	list := []map[string]string{{}}
	for key, values := range matrix {
		list = nil
		for _, value := range values {
			list = append(list, map[string]string{"matrix." + key: value})
		}
	}
	return list
}

var expression = regexp.MustCompile(`\$\{\{ *(.*?) *\}\}`)

// expand replaces expressions. An unknown expression is an error.
func (r *runner) expand(text string) string {
	return expression.ReplaceAllStringFunc(text, func(whole string) string {
		name := expression.FindStringSubmatch(whole)[1]
		value, known := r.values[name]
		if !known {
			r.p.t.Errorf("%s: unknown expression %s", r.p.name, whole)
		}
		return value
	})
}

var (
	notEmpty  = regexp.MustCompile(`^([\w.]+) != ''$`)
	notPrefix = regexp.MustCompile(`^!startsWith\(([\w.]+), '(\w+)'\)$`)
)

// holds evaluates a condition.
func (r *runner) holds(condition string) bool {
	if condition == "" {
		return true
	}
	text := expression.ReplaceAllString(condition, "$1")
	if m := notEmpty.FindStringSubmatch(text); m != nil {
		return r.values[m[1]] != ""
	}
	if m := notPrefix.FindStringSubmatch(text); m != nil {
		return !strings.HasPrefix(r.values[m[1]], m[2])
	}
	r.p.t.Errorf("%s: unknown condition %s", r.p.name, condition)
	return false
}

// steps runs the steps of a job, or of an action with its inputs.
