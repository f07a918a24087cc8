package data

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// Plaintext finds objects that must be encrypted and are not.
func Plaintext() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "data-plaintext",
		Title:    "Objects that must be encrypted are stored in plaintext",
		Severity: audit.High,
		Rationale: "Whoever reads etcd, its data dir or a backup can read these objects. Turning encryption on does not encrypt " +
			"stored objects: each one stays as it is until it is written again. A misspelt resource, or identity as the " +
			"first provider, leaves all of them in plaintext without an error.",
		Method: "Reads the first bytes of every stored value. Secrets must be encrypted, and so must each resource that " +
			"--config or --key-name covers. Without those flags, a resource must be encrypted if any of its objects is.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("When every API server has the configuration, let the API server rewrite the objects, and run the census again:"),
				audit.Paste(rewriteCommand),
				audit.Paste("etcdsec audit census --endpoints %s --config %s", p.Endpoints(), p.Config()),
			}
		},
		References: []string{
			"CIS Kubernetes Benchmark v1.12 1.2.27", "STIG V-274882", "NIST 800-53 SC-28", "NIST 800-53 SC-28(1)",
			"PCI DSS 4.0.1 3.5.1", "BSI APP.4.4.A20",
			"etcd THREAT_MODEL.md: The Data Storage Boundary",
		},
		Run: judgeCensus(runPlaintext),
	})
}

func runPlaintext(r *reading) {
	var encrypted int64
	for _, resource := range r.census.Resources {
		if !mustBeEncrypted(r.census, resource) {
			continue
		}
		r.arose = true
		encrypted += resource.Objects - resource.Plaintext
		if resource.Plaintext > 0 {
			r.addFinding(resource.Resource, "%d of the %s of %s in plaintext%s", resource.Plaintext, count(resource.Objects, "object"), resource.Resource,
				joinNames(resource.PlaintextObjects, resource.Plaintext))
		}
	}
	r.passed = fmt.Sprintf("%s; no object that must be encrypted is in plaintext", count(encrypted, "encrypted object"))
	r.skipped = "there are no Secrets, and nothing else must be encrypted"
}

// mustBeEncrypted reports whether objects of a resource must not be in plaintext. This always holds
// for Secrets, whatever the configuration says.
func mustBeEncrypted(c *audit.Census, resource audit.ResourceCensus) bool {
	if resource.Bookkeeping {
		return false
	}
	if resource.Resource == "secrets" {
		return true
	}
	if rule, found := c.Rule(resource); found {
		return encrypts(rule)
	}
	return len(c.Expected) == 0 && len(resource.Writers) > 0
}
