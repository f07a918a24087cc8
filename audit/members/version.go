package members

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// version is a version of etcd.
type version struct {
	// number is major, minor, patch, and 0 for a pre-release or 1 for a release, which is later.
	number [4]int
	// rebuilt is set if the version has a suffix that no release of etcd has: "3.4.23-3",
	// "3.5.9+dfsg1". Its builder may have fixed a flaw without changing the number.
	rebuilt bool
}

// parseVersion reads "3.6.16", "3.7.0-rc.1" or a version that a distribution derived from one.
func parseVersion(s string) (version, error) {
	notVersion := fmt.Errorf("%q is not a version of etcd such as 3.6.16", s)
	core := s
	if at := strings.IndexAny(s, "-+~"); at >= 0 {
		core = s[:at]
	}
	suffix := s[len(core):]
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return version{}, notVersion
	}
	v := version{number: [4]int{3: 1}}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return version{}, notVersion
		}
		v.number[i] = int(n)
	}
	switch {
	case slices.ContainsFunc([]string{"-alpha.", "-beta.", "-rc.", "-pre"}, func(mark string) bool { return strings.HasPrefix(suffix, mark) }):
		v.number[3] = 0
	case suffix != "":
		v.rebuilt = true
	}
	return v, nil
}

func (v version) before(other version) bool { return slices.Compare(v.number[:], other.number[:]) < 0 }

// minor returns the branch of a version, such as "3.6".
func (v version) minor() string { return fmt.Sprintf("%d.%d", v.number[0], v.number[1]) }

// in reports whether v is in the range. A pre-release of the first version is in it. A pre-release of
// the fixed version is in it too, because it may lack the fix.
func (v version) in(r Range) bool {
	from, _ := parseVersion(r.Introduced) // empty is 0.0.0
	from.number[3] = 0
	end, err := parseVersion(r.Fixed + r.Limit)
	if err != nil {
		return false
	}
	if r.Fixed == "" {
		end.number[3] = 0
	}
	return !v.before(from) && v.before(end)
}

// versionOf returns the version of a member and where it was read; if it was not read, missing is the
// outcome that says why.
func versionOf(t *audit.Listener) (v version, seen string, missing *audit.Outcome) {
	unknown := func(reason string) (version, string, *audit.Outcome) {
		o := audit.CouldNotTell(reason)
		return version{}, "", &o
	}
	if t.Version == "" {
		return unknown("the version was not read: " + whyNot(t, audit.StatusRPC))
	}
	v, err := parseVersion(t.Version)
	if err != nil {
		return unknown(fmt.Sprintf("%s gave a version: %v", t.VersionFrom, err))
	}
	return v, fmt.Sprintf("etcd %s (%s)", t.Version, t.VersionFrom), nil
}
