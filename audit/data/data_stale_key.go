package data

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// StaleKey finds objects that an older key encrypted, and not the current one.
func StaleKey() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "data-stale-key",
		Title:    "Objects are still encrypted with a key that was replaced",
		Severity: audit.Medium,
		Rationale: "A rotation is done when no object uses the old key. Until then, whoever has the old key can read these " +
			"objects, and whoever removes the key from the configuration loses them. Kubernetes does not tell which key " +
			"encrypted an object.",
		Method: "Compares the writer of every stored value with the first provider of --config for its resource, and with that " +
			"provider's first key; or with the first --key-name.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Let the API server rewrite the objects, and run the census again before you remove the old key:"),
				audit.Paste(rewriteCommand),
				audit.Paste("etcdsec encryption rotate %s --kubeconfig /etc/kubernetes/admin.conf", p.Store()),
				audit.Paste("etcdsec audit census --endpoints %s --config %s", p.Endpoints(), p.Config()),
			}
		},
		References: []string{"NIST 800-53 SC-12", "NIST 800-53 SC-28(1)", "PCI DSS 4.0.1 3.7.4", "kubernetes/kubernetes#49565"},
		Run:        judgeCensus(runStaleKey),
	})
}

func runStaleKey(r *reading) {
	var right int64
	for _, resource := range r.census.Resources {
		rule, found := r.census.Rule(resource)
		if !found {
			continue
		}
		for _, w := range resource.Writers {
			r.arose = true
			r.noteAmbiguity(rule, resource.Resource, w)
			switch at := indexOf(rule, w.Writer); {
			case at == 0:
				right += w.Objects
			case at > 0:
				r.addFinding(resource.Resource, "%s of %s with %s, not with %s%s", count(w.Objects, "object"), resource.Resource, w.Writer, rule.Writers[0],
					joinNames(w.Sample, w.Objects))
			}
		}
	}
	r.passed = fmt.Sprintf("%s with the current key, and none with an older one", count(right, "object"))
	r.skipped = noKeys(r.census)
	if r.arose && right == 0 && r.unclear == "" {
		r.arose, r.skipped = false, "no object is encrypted with a named key; see data-unknown-key for the others"
	}
}

// noKeys returns why there is no right key to compare with.
func noKeys(c *audit.Census) string {
	if len(c.Expected) == 0 {
		return "the right key is unknown; add --config or --key-name"
	}
	return "no object of the resources in the configuration is encrypted"
}
