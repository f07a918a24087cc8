// Package violations has every form that the test has to find, each marked "found", and forms
// that it has to leave alone.
package violations

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

type fault struct{ text string }

func (f *fault) Error() string { return f.text }

var pattern = regexp.MustCompile("denied")

func direct(err error) bool {
	return strings.Contains(err.Error(), "chmod") // found
}

func ofOwnType(f *fault) bool {
	return strings.HasPrefix(f.Error(), "x") || // found
		strings.HasSuffix(f.Error(), "y") // found
}

func printed(err error) bool {
	return strings.EqualFold(fmt.Sprint(err), "x") || // found
		strings.Index(fmt.Sprintf("%s: %v", "a", err), "x") > 0 // found
}

func byVariable(err error) string {
	text := "x: " + strings.ToLower(err.Error())
	rest := text[2:]
	before, after, ok := strings.Cut(rest, ":") // found
	if ok && before == "x" {                    // found
		return after
	}
	switch text { // found
	case "x":
	}
	var said = err.Error()
	for _, line := range strings.Split(said, "\n") { // found
		if line == "x" { // found
			return ""
		}
	}
	return ""
}

func byPattern(err error) bool {
	return pattern.MatchString(err.Error()) || // found
		bytes.Contains([]byte(err.Error()), nil) || // found
		slices.Contains([]string{"x"}, err.Error()) || // found
		map[string]bool{"x": true}[err.Error()] // found
}

func passesOn(err error) bool { return byParameter(err.Error()) }

func byParameter(message string) bool {
	return message != "x" // found
}

type decider struct{}

func (*decider) method(err error) bool {
	return err.Error() == "x" // found
}

func fine(err error, path string) (string, error) {
	if errors.Is(err, os.ErrNotExist) || strings.Contains(path, "chmod") || path == "x" {
		return strings.TrimSpace(err.Error()), fmt.Errorf("reading: %w", err)
	}
	return fmt.Sprint(path, err.Error()), nil
}

var _ = []any{direct, ofOwnType, printed, byVariable, byPattern, passesOn, (*decider).method, fine}
