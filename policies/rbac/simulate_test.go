package rbac

import (
	"testing"
)

func TestCovered(t *testing.T) {
	const all = "\x00"
	for name, c := range map[string]struct {
		want KeyRange
		have []KeyRange
		ok   bool
	}{
		"nothing":                      {Single("a"), nil, false},
		"the key":                      {Single("a"), []KeyRange{Single("a")}, true},
		"another key":                  {Single("a"), []KeyRange{Single("aa")}, false},
		"below a prefix":               {Single("/registry/x"), []KeyRange{Prefix("/registry/")}, true},
		"the prefix without its slash": {Single("/registry"), []KeyRange{Prefix("/registry/")}, false},
		"a prefix that begins alike":   {Prefix("/registry-2/"), []KeyRange{Prefix("/registry/")}, false},
		"the end is not in it":         {Single("/registry0"), []KeyRange{Prefix("/registry/")}, false},
		"a part of a prefix":           {Prefix("/registry/secrets/"), []KeyRange{Prefix("/registry/")}, true},
		"more than a prefix":           {Prefix("/reg"), []KeyRange{Prefix("/registry/")}, false},
		"over the end":                 {KeyRange{"/registry/x", "/registry1"}, []KeyRange{Prefix("/registry/")}, false},
		"two ranges that touch":        {KeyRange{"a", "c"}, []KeyRange{{"b", "c"}, {"a", "b"}}, true},
		"two ranges with a gap":        {KeyRange{"a", "d"}, []KeyRange{{"c", "d"}, {"a", "b"}}, false},
		"a range within another":       {KeyRange{"a", "d"}, []KeyRange{{"a", "d"}, {"b", "c"}}, true},
		"everything":                   {KeyRange{all, all}, []KeyRange{Prefix("/registry/")}, false},
		"everything of everything":     {KeyRange{all, all}, []KeyRange{{all, all}}, true},
		"from a key on":                {KeyRange{"b", all}, []KeyRange{{"a", all}}, true},
		"from a key on, of a range":    {KeyRange{"b", all}, []KeyRange{{"a", "z"}}, false},
		"a key of an open range":       {Single("zz"), []KeyRange{{"a", all}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isCovered(c.want, c.have); got != c.ok {
				t.Errorf("%s in %s: %t", c.want, c.have, got)
			}
		})
	}
}

func TestPrefix(t *testing.T) {
	for _, c := range []struct{ prefix, end, text string }{
		{"/registry/", "/registry0", "/registry/*"},
		{"a\xff", "b", "a\xff*"},
		{"\xff", "\x00", "\xff*"},
	} {
		if got := Prefix(c.prefix); got.End != c.end || got.String() != c.text {
			t.Errorf("%q ends at %q and is %q, want %q and %q", c.prefix, got.End, got, c.end, c.text)
		}
	}
}
