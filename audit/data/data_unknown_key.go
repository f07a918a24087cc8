package data

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// UnknownKey finds objects that no API server can read.
func UnknownKey() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "data-unknown-key",
		Title:    "Objects are encrypted with a key that nobody has",
		Severity: audit.High,
		Rationale: "If an API server lacks the key of one object, it cannot list any object of that resource, cannot start its " +
			"caches, and cannot delete the object. Such objects come from a key that was removed too early, from a " +
			"restored backup, or from somebody else who writes to the store.",
		Method: "Looks for the writer of every stored value among the providers and keys of --config for its resource, or " +
			"among the --key-name values. Also looks for values that begin like encrypted ones but have no valid form.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Put the key back at the end of the list, from a copy of the configuration, and rewrite the objects:"),
				audit.Paste(rewriteCommand),
				audit.Paste("etcdctl del /registry/secrets/%s   # only if the key is lost: the object is lost too", audit.StandIn("NAMESPACE/NAME")),
			}
		},
		References: []string{"NIST 800-53 SC-12", "NIST 800-53 CP-9", "kubernetes/kubernetes#66844", "kubernetes/kubernetes#76010"},
		Run:        judgeCensus(runUnknownKey),
	})
}

func runUnknownKey(r *reading) {
	var known int64
	for _, resource := range r.census.Resources {
		if resource.Broken > 0 {
			r.addFinding(resource.Resource+"-broken", "%s of %s that no key can decrypt%s", count(resource.Broken, "value"), resource.Resource,
				joinNames(resource.BrokenObjects, resource.Broken))
		}
		if len(r.census.Expected) == 0 {
			continue
		}
		rule, _ := r.census.Rule(resource)
		for _, w := range resource.Writers {
			r.arose = true
			r.noteAmbiguity(rule, resource.Resource, w)
			if indexOf(rule, w.Writer) >= 0 {
				known += w.Objects
				continue
			}
			r.addFinding(resource.Resource, "%s of %s with %s, which the configuration does not list for them%s", count(w.Objects, "object"), resource.Resource,
				w.Writer, joinNames(w.Sample, w.Objects))
		}
	}
	r.passed = fmt.Sprintf("%s, each with a key of the configuration", count(known, "encrypted object"))
	r.skipped = noKeys(r.census)
}
