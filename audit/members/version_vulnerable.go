package members

import (
	"fmt"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// VersionVulnerable finds a member whose version has published vulnerabilities.
func VersionVulnerable() audit.Check {
	return audit.Check{
		ID:       "version-vulnerable",
		Title:    "The version of etcd has known vulnerabilities",
		Severity: audit.High,
		Rationale: "Published flaws are the first that are tried. Those that need no credential matter to every control plane; " +
			"those that bypass etcd's RBAC matter where it is on.",
		Method: "Compares the version that the member tells (Status or GET /version) with the advisories known on " +
			advisoriesAsOf + ". A distribution may have fixed a flaw without changing the version.",
		Remediation: "Upgrade etcd, one member at a time:\n" + newest(),
		References:  []string{"NIST 800-53 SI-2", "NIST 800-53 RA-5", "PCI DSS 4.0.1 6.3.3"},
		Applies:     audit.On(audit.Client),
		Run:         runVersionVulnerable,
	}
}

func newest() string {
	var lines []string
	for _, b := range branches() {
		if b.newest != "" {
			lines = append(lines, fmt.Sprintf("etcd %s.x: to %s or later", b.name, b.newest))
		}
	}
	return strings.Join(lines, "\n")
}

func runVersionVulnerable(t *audit.Target) audit.Outcome {
	if t.Version == "" {
		return audit.CouldNotTell("the version was not read: " + whyNot(t, audit.StatusRPC))
	}
	v, ok := parseVersion(t.Version)
	if !ok {
		return audit.CouldNotTell(fmt.Sprintf("%s gave the version %q, which is not an etcd version", t.VersionFrom, t.Version))
	}
	seen := fmt.Sprintf("etcd %s (%s)", t.Version, t.VersionFrom)
	known := false
	var findings []audit.Finding
	for _, b := range branches() {
		if !v.in(b.span) {
			continue
		}
		known = true
		if b.endOfLife != "" {
			findings = append(findings, audit.Finding{Code: "end-of-life", Text: fmt.Sprintf("%s is of branch %s, without fixes since %s", seen, b.name, b.endOfLife)})
		}
	}
	if !known {
		return audit.CouldNotTell(fmt.Sprintf("%s is newer than the advisories known here (%s)", seen, advisoriesAsOf))
	}
	for _, scope := range []scope{controlPlane, rbacOnly} {
		findings = append(findings, affecting(v, scope)...)
	}
	if len(findings) > 0 {
		findings[0].Text = seen + ": " + strings.TrimPrefix(findings[0].Text, seen+" ")
		return audit.Failed(findings...)
	}
	return audit.Passed(fmt.Sprintf("%s has no advisory known on %s", seen, advisoriesAsOf))
}

func affecting(v version, s scope) []audit.Finding {
	var findings []audit.Finding
	for _, a := range advisories() {
		if a.scope != s {
			continue
		}
		for _, affected := range a.affected {
			if !v.in(affected) {
				continue
			}
			fixed := "no fix in this branch"
			if affected.fixed {
				fixed = "fixed in " + affected.before
			}
			findings = append(findings, audit.Finding{Code: a.id, Text: fmt.Sprintf("%s, %s: %s (%s)", a.id, s, a.summary, fixed)})
		}
	}
	return findings
}
