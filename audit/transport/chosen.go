package transport

import (
	"crypto/tls"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// describeChoices lists the server's choices in each version, for the evidence of a pass.
func describeChoices(t *audit.Listener, name func(audit.Choice) string) string {
	var versions []string
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var names []string
		for _, choice := range t.Choices(version) {
			if n := name(choice); n != "" && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		switch {
		case t.RefusesVersion(version):
			versions = append(versions, tls.VersionName(version)+" is refused")
		case len(names) > 0:
			versions = append(versions, tls.VersionName(version)+" is accepted with "+strings.Join(names, ", "))
		}
	}
	return strings.Join(versions, "; ")
}

func hasFinding(findings []audit.Finding, code string) bool {
	return slices.ContainsFunc(findings, func(f audit.Finding) bool { return f.Code == code })
}
