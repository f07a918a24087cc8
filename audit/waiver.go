package audit

import (
	"fmt"
	"strings"
	"time"
)

// Waiver records that somebody accepts a finding until a day.
type Waiver struct {
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires"` // the last second of the last day
	Owner   string    `json:"owner"`
	Ticket  string    `json:"ticket"` // empty if there is none
}

// WaiverRule holds a [Waiver] and the findings that it covers.
type WaiverRule struct {
	Waiver
	CheckID     string
	Target      string // a pattern for [MatchGlob]
	Host        string // likewise, of the host of a target that every host has for itself; empty if none was named
	Fingerprint string // of the one finding that it covers; empty for every finding of the check
	Origin      string // where the rule was written, such as waivers.yaml:7
}

// UnusedWaiver is a rule that waives no finding, with the reason.
type UnusedWaiver struct {
	WaiverRule
	Why string
}

// covers reports whether a rule is for a result of a report of one host, or of several.
func (w WaiverRule) covers(r Result, several bool) bool {
	return w.coversTarget(r) && w.coversHost(r.Host, several)
}

func (w WaiverRule) coversTarget(r Result) bool {
	return w.CheckID == r.CheckID && MatchGlob(w.Target, r.Target)
}

// anything matches every text.
const anything = "*"

// coversHost reports whether a rule is for the target of a host. Such a target, like 127.0.0.1:2379, is
// another one on every host, so that in a report of several its name alone covers none of them. Other
// targets have no host.
func (w WaiverRule) coversHost(host string, several bool) bool {
	if w.Host == "" {
		return host == "" || !several || w.Target == anything
	}
	return MatchGlob(w.Host, host)
}

// hasSeveralHosts reports whether results are of targets that more than one host has for itself.
func hasSeveralHosts(results []Result) bool {
	first := ""
	for _, r := range results {
		switch {
		case r.Host == "" || r.Host == first:
		case first != "":
			return true
		default:
			first = r.Host
		}
	}
	return false
}

// Waive marks the failed results that a rule covers, and updates the summary. It runs after the checks, so
// that a waiver changes how a finding counts, and not what was found. Only failed results can be waived.
// If the rule has expired, the result stays a failure and says so. The first of several rules counts.
// The rules replace those of an earlier call.
//
// It returns the rules that should be removed or corrected. It leaves out a rule whose results are
// unknown, or whose check did not run: nobody knows whether it is needed.
func (r *Report) Waive(rules []WaiverRule, now time.Time) []UnusedWaiver {
	used, several := make([]bool, len(rules)), hasSeveralHosts(r.Results)
	for i := range r.Results {
		result := &r.Results[i]
		if result.Verdict != Fail {
			continue
		}
		result.Waiver = nil // of an earlier call, whose rules these replace
		var expired *WaiverRule
		for j := range rules {
			w := &rules[j]
			if !w.covers(*result, several) || (w.Fingerprint != "" && w.Fingerprint != result.Fingerprint) {
				continue
			}
			used[j] = true
			switch {
			case now.After(w.Expires):
				expired = w
			case result.Waiver == nil:
				waiver := w.Waiver
				result.Waiver = &waiver
			}
		}
		if expired != nil && result.Waiver == nil {
			result.Evidence = withNote(result.Evidence, expired.note())
		}
	}
	r.Summary = summarize(r.Results)
	var unused []UnusedWaiver
	for j, w := range rules {
		if used[j] {
			continue
		}
		if why := w.unused(r.Results, now); why != "" {
			unused = append(unused, UnusedWaiver{w, why})
		}
	}
	return unused
}

func (w WaiverRule) note() string {
	note := fmt.Sprintf("its waiver expired on %s: %s (%s", w.Expires.UTC().Format(time.DateOnly), w.Reason, w.Owner)
	if w.Ticket != "" {
		note += ", " + w.Ticket
	}
	return note + ")"
}

// withNote adds a note, unless the evidence has it from an earlier call.
func withNote(evidence, note string) string {
	if strings.Contains(evidence, note) {
		return evidence
	}
	return evidence + "; " + note
}

// unused returns why a rule waives none of the results; it is empty if this is unknown.
func (w WaiverRule) unused(results []Result, now time.Time) string {
	asked, covered, several := false, false, hasSeveralHosts(results)
	var hosts []string // of the targets that match, but on a host for which the rule is not
	for _, r := range results {
		asked = asked || r.CheckID == w.CheckID
		if w.coversTarget(r) && !w.coversHost(r.Host, several) {
			hosts = append(hosts, r.Host)
		}
		if !w.covers(r, several) {
			continue
		}
		covered = true
		switch r.Verdict {
		case Unknown:
			return ""
		case Fail:
			return fmt.Sprintf("the finding on %s differs from the waived one: its fingerprint is now %s", r.Target, r.Fingerprint)
		case Pass, Skip:
		}
	}
	switch {
	case !asked:
		return ""
	case !covered && len(hosts) > 0 && w.Host == "":
		return fmt.Sprintf("every host has a target of this name: name the host, as in host: %s, or host: \"*\" for all", hosts[0])
	case !covered && len(hosts) > 0 && hosts[0] == "":
		return "its target is the same one for every host: leave out host: " + w.Host
	case !covered && len(hosts) > 0:
		return "the target that matches it is on another host, " + hosts[0]
	case !covered:
		return "no audited target matches it"
	case now.After(w.Expires):
		return fmt.Sprintf("it expired on %s, and the check fails on none of its targets", w.Expires.UTC().Format(time.DateOnly))
	default:
		return "the check fails on none of its targets"
	}
}
