package data

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// Plaintext finds objects that are to be encrypted and are not.
func Plaintext() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "data-plaintext",
		Title:    "Objects that are to be encrypted are stored in plaintext",
		Severity: audit.High,
		Rationale: "Who reads etcd, its data dir or a backup reads them. Turning encryption on encrypts nothing that is " +
			"stored: each object stays as it is until it is written again. A misspelt resource, or identity as the first " +
			"provider, leaves all of them in plaintext without an error.",
		Method: "Reads the first bytes of every stored value. Secrets are to be encrypted; so is each resource that --config " +
			"or --key-name is about, and without those each of which any object is encrypted.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Let the API server write them anew, once every API server has the configuration, and look again:"),
				audit.Paste(rewrite),
				audit.Paste("etcdsec audit census --endpoints %s --config %s", p.Endpoints(), p.Config()),
			}
		},
		References: []string{
			"CIS Kubernetes Benchmark v1.12 1.2.27", "STIG V-274882", "NIST 800-53 SC-28", "NIST 800-53 SC-28(1)",
			"PCI DSS 4.0.1 3.5.1", "BSI APP.4.4.A20",
			"etcd THREAT_MODEL.md: The Data Storage Boundary",
		},
		Run: judgeCensus(plaintext),
	})
}

func plaintext(r *reading) {
	var encrypted int64
	for _, resource := range r.census.Resources {
		if !toBeEncrypted(r.census, resource) {
			continue
		}
		r.arose = true
		encrypted += resource.Objects - resource.Plaintext
		if resource.Plaintext > 0 {
			r.found(resource.Resource, "%d of the %s of %s in plaintext%s", resource.Plaintext, count(resource.Objects, "object"), resource.Resource,
				joinNames(resource.PlaintextObjects, resource.Plaintext))
		}
	}
	r.passed = fmt.Sprintf("%s, and none in plaintext of those that are to be encrypted", count(encrypted, "encrypted object"))
	r.skipped = "there are no Secrets, and nothing else is to be encrypted"
}

// toBeEncrypted reports whether plaintext of a resource is wrong. Secrets are never right
// in plaintext, whatever the configuration says.
func toBeEncrypted(c *audit.Census, resource audit.ResourceCensus) bool {
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
