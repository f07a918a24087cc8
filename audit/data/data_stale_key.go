package data

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// StaleKey finds objects that another key encrypted than the one that is to.
func StaleKey() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "data-stale-key",
		Title:    "Objects are still encrypted with a key that was replaced",
		Severity: audit.Medium,
		Rationale: "A rotation is done when nothing is left on the old key: until then, who has the old key reads these " +
			"objects, and who takes it out of the configuration loses them. Kubernetes does not say which key an object is on.",
		Method: "Compares the writer of every stored value with the first provider of --config for its resource, and the " +
			"first key of that; or with the first --key-name.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Let the API server write them anew, and look again before the old key is taken out:"),
				audit.Paste(rewriteCommand),
				audit.Paste("etcdsec encryption rotate %s --kubeconfig admin.conf", p.Store()),
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
				r.addFinding(resource.Resource, "%s of %s with %s, and not with %s%s", count(w.Objects, "object"), resource.Resource, w.Writer, rule.Writers[0],
					joinNames(w.Sample, w.Objects))
			}
		}
	}
	r.passed = fmt.Sprintf("%s with the key that is to encrypt them, and none with an older one", count(right, "object"))
	r.skipped = noKeys(r.census)
	if r.arose && right == 0 && r.unclear == "" {
		r.arose, r.skipped = false, "no object is encrypted with a key that was named; data-unknown-key is about the others"
	}
}

// noKeys returns why the question of the right key did not arise.
func noKeys(c *audit.Census) string {
	if len(c.Expected) == 0 {
		return "nobody said which key is right; add --config or --key-name"
	}
	return "no object is encrypted of the resources that the configuration is about"
}
