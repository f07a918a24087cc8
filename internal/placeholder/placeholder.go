// Package placeholder puts values into texts of a cluster spec, such as {{.Address}} in an
// argument. It knows nothing else of text/template: no conditions, loops or functions, so a
// text that was accepted once cannot fail or run long when it is used.
package placeholder

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// UnknownError reports something between {{ and }} that is not one of the placeholders.
type UnknownError struct {
	Found string   // with its braces
	Known []string // with their braces, sorted
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("%q is no placeholder here: want only %s", e.Found, strings.Join(e.Known, ", "))
}

// Expand replaces each placeholder {{.NAME}} of a text by the value of that name. White space inside of
// the braces is allowed. Everything else between {{ and }} is an [UnknownError], also if it is valid in
// text/template. A }} alone is text.
func Expand(text string, values map[string]string) (string, error) {
	var expanded strings.Builder
	for {
		before, after, found := strings.Cut(text, "{{")
		expanded.WriteString(before)
		if !found {
			return expanded.String(), nil
		}
		inside, rest, closed := strings.Cut(after, "}}")
		name, isField := strings.CutPrefix(strings.Trim(inside, " \t"), ".")
		value, known := values[name]
		if !closed || !isField || !known {
			return "", unknown(inside, closed, values)
		}
		expanded.WriteString(value)
		text = rest
	}
}

func unknown(inside string, closed bool, values map[string]string) error {
	e := &UnknownError{Found: "{{" + inside}
	if closed {
		e.Found += "}}"
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		e.Known = append(e.Known, "{{."+name+"}}")
	}
	return e
}
