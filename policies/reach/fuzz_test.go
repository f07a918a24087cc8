package reach

import (
	"strings"
	"testing"
)

// calicoSelectors are selectors with what they make of {a: "x", b: "y-z", c: ""}.
func calicoSelectors() map[string]bool {
	return map[string]bool{
		"":                                 true,
		"all()":                            true,
		"global()":                         true,
		"a == 'x'":                         true,
		`a=="y"`:                           false,
		"a != 'y'":                         true,
		"d != 'y'":                         true,
		"has(a)":                           true,
		"!has(d)":                          true,
		"! has(a)":                         false,
		"!!has(a)":                         true,
		"a in {'x', 'y'}":                  true,
		"a in {}":                          false,
		"d in {'x'}":                       false,
		"a not in {'x'}":                   false,
		"d not in { 'x' , \"y\" }":         true,
		"b contains 'y-'":                  true,
		"b starts with 'y'":                true,
		"b ends  with 'z'":                 true,
		"b ends with 'y'":                  false,
		"a == 'x' && b == 'x'":             false,
		"a == 'y' || c == ''":              true,
		"a == 'y' || a == 'x' && has(b)":   true,
		"(a == 'y' || a == 'x') && has(d)": false,
		"!(a == 'x' && has(d))":            true,
		"in == 'x'":                        false,
	}
}

func TestCalicoSelector(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"a": "x", "b": "y-z", "c": ""}
	for text, want := range calicoSelectors() {
		if got := SelectsCalico(text, labels); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
	for _, text := range []string{"a", "a =", "a = 'x'", "a == x", "a == 'x", "(a == 'x'", "a == 'x')", "has(", "has()", "none()", "a in 'x'", "a in {'x'", "a in {'x' 'y'}", "&& a == 'x'", "a == 'x' &&", "!", strings.Repeat("(", 1000)} {
		if _, err := newCalicoSelector(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// Whatever is taken is a selector that can be asked; nothing panics, and nothing is both
// selected by a selector and by its negation.
func FuzzCalicoSelector(f *testing.F) {
	seeds := 0
	for text := range calicoSelectors() {
		f.Add(text)
		seeds++
	}
	if seeds < 20 {
		f.Fatalf("%d seeds", seeds)
	}
	labels := map[string]string{"a": "x", "b": "y-z", "c": ""}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := newCalicoSelector(text); err != nil {
			return
		}
		if strings.TrimSpace(strings.Trim(text, "\t\r\n ")) == "" {
			return
		}
		if _, err := newCalicoSelector("!(" + text + ")"); err == nil && SelectsCalico(text, labels) == SelectsCalico("!("+text+")", labels) {
			t.Errorf("%q and its negation agree", text)
		}
	})
}
