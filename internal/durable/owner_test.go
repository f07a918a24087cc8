package durable

import (
	"os/user"
	"strconv"
	"strings"
	"testing"
)

func TestParseOwner(t *testing.T) {
	// The account that runs the test exists on every machine, whatever its name.
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	uid, gid := number(t, me.Uid), number(t, me.Gid)
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s    string
		want Owner
	}{
		{me.Username, Owner{uid, gid}},
		{me.Uid, Owner{uid, gid}},
		{me.Username + ":" + group.Name, Owner{uid, gid}},
		{me.Username + ":12345", Owner{uid, 12345}},
		{"3999999999:3999999998", Owner{3999999999, 3999999998}},
		{"3999999999:" + group.Name, Owner{3999999999, gid}},
		{"3999999999", Owner{3999999999, 3999999999}}, // unknown here: its group has its number
		{"0:0", Owner{0, 0}},
		{"4294967294:4294967294", Owner{4294967294, 4294967294}},
	} {
		got, err := ParseOwner(c.s)
		if err != nil || got == nil || *got != c.want {
			t.Errorf("%q: %v, %v; want %v", c.s, got, err, c.want)
		}
	}
	if got, err := ParseOwner(""); got != nil || err != nil {
		t.Errorf("no owner: %v, %v", got, err)
	}
}

func TestParseOwnerRefuses(t *testing.T) {
	for s, want := range map[string]string{
		"nobody-has-this-name":     "no such user here",
		"nobody-has-this-name:0":   "no such user here",
		":0":                       "no such user here",
		"-1":                       "no such user here",
		"-1:0":                     "no such user here",
		"+1:0":                     "no such user here",
		"1.5:0":                    "no such user here",
		"0:":                       "no such group here",
		"0:-1":                     "no such group here",
		"0:nobody-has-this-group":  "no such group here",
		"0:0:0":                    "no such group here",
		"99999999999999999999:0":   "no such user here",
		"0:99999999999999999999":   "no such group here",
		"4294967295:0":             "no such user here", // chown(2) takes -1 as "leave it as it is"
		"0:4294967295":             "no such group here",
		"4294967296:0":             "no such user here", // chown(2) would take it for 0
		"0:4294967296":             "no such group here",
		"9223372036854775807:1000": "no such user here",
	} {
		got, err := ParseOwner(s)
		if got != nil || err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), strconv.Quote(s)) {
			t.Errorf("%q: %v, %v; want %q", s, got, err, want)
		}
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
