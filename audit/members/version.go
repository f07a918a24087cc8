package members

import (
	"slices"
	"strconv"
	"strings"
)

// version is major, minor, patch, and 0 for a pre-release or 1 for a release, which is later.
type version [4]int

// parseVersion reads "3.6.16" or "3.7.0-rc.1". Build metadata after a plus does not count.
func parseVersion(s string) (version, bool) {
	s, _, _ = strings.Cut(s, "+")
	core, _, preRelease := strings.Cut(s, "-")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return version{}, false
	}
	var v version
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return version{}, false
		}
		v[i] = int(n)
	}
	if !preRelease {
		v[3] = 1
	}
	return v, true
}

// span is the versions from one, included, to another, excluded. An empty from is the beginning.
type span struct {
	from, before string
	fixed        bool // before is the release with the fix, not only the end of a branch
}

// in says whether v is in the span. A pre-release of the first version is in it; one of the
// version that has the fix is too, for it may lack it.
func (v version) in(s span) bool {
	from, _ := parseVersion(s.from) // empty is 0.0.0
	from[3] = 0
	before, ok := parseVersion(s.before)
	if !ok {
		return false
	}
	if !s.fixed {
		before[3] = 0
	}
	return slices.Compare(v[:], from[:]) >= 0 && slices.Compare(v[:], before[:]) < 0
}
