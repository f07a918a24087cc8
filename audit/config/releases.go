package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

// span holds the releases from one, included, to another, excluded. An empty end is open.
type span struct{ from, before string }

// crlMayBePEM returns the releases that read a revocation list with x509.ParseCRL, which accepts
// PEM and DER. Later ones accept only DER (x509.ParseRevocationList, commit 16d1ef949 of
// etcd-io/etcd) and refuse every certificate with a list that they cannot parse.
func crlMayBePEM() []span { return []span{{before: "3.6.0"}} }

// crlBypassed returns the releases that GHSA-3wh4-j44w-pg92 affects. Branch 3.4 ended without a fix.
func crlBypassed() []span {
	return []span{{"3.4.25", "3.5.0"}, {"3.5.8", "3.5.32"}, {"3.6.0", "3.6.13"}}
}

// debugSwitch is a setting that also switches on debug pages.
type debugSwitch struct {
	flag, value string
	releases    []span
}

// debugSwitches returns the settings of server/embed/etcd.go, configureClientListeners.
func debugSwitches() []debugSwitch {
	return []debugSwitch{
		{"debug", "true", []span{{before: "3.5.0"}}},
		{"log-level", "debug", []span{{from: "3.5.0"}}},
	}
}

// inSpans reports whether a release is in one of the spans. This is unknown for anything but a plain
// release, such as a pre-release.
func inSpans(release string, spans []span) (in, known bool) {
	v, ok := parseRelease(release)
	if !ok {
		return false, false
	}
	return slices.ContainsFunc(spans, func(s span) bool {
		from, _ := parseRelease(s.from) // empty is 0.0.0
		before, bounded := parseRelease(s.before)
		return v.Compare(from) >= 0 && (!bounded || v.Compare(before) < 0)
	}), true
}

func parseRelease(s string) (cluster.Version, bool) {
	s, _, _ = strings.Cut(s, "+")
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return cluster.Version{}, false
	}
	var n [3]int
	for i, part := range parts {
		number, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return cluster.Version{}, false
		}
		n[i] = int(number)
	}
	return cluster.Version{Major: n[0], Minor: n[1], Patch: n[2]}, true
}
