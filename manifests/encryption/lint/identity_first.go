package lint

import (
	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

func identityFirst() Check {
	return Check{
		ID:       "encryption-identity-first",
		Title:    "New values are written in plaintext",
		Severity: audit.High,
		Rationale: "The first provider of a resource writes, and identity writes plaintext. Benchmarks still pass, because the " +
			"flag is set. The keys after identity are only used for reading.",
		Method: "Finds the provider that writes each resource, over all rules that name it. A rule with identity alone is " +
			"allowed as an exemption, where a later wildcard encrypts the rest.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Put identity last, on every API server, then rewrite what is stored:"),
				audit.Paste("etcdsec encryption lint --fix %s", p.File()),
				audit.Paste("kubectl get secrets --all-namespaces -o json | kubectl replace -f -"),
			}
		},
		References: references("STIG V-274882", "kubernetes.io/docs/tasks/administer-cluster/encrypt-data"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, w := range s.plaintextWriters() {
				if w.first {
					f.add("first", "%s: identity is first and writes %s", s.describeField(w.field), joinNames(w.resources))
				} else {
					f.add("only", "%s: identity alone stores %s", s.describeField(w.field), joinNames(w.resources))
				}
			}
			if len(f) > 0 && s.Phase == cluster.Disabling {
				return audit.Skipped("encryption is being turned off, so identity has to write")
			}
			return f.outcome("every named resource is written encrypted, except exemptions from a wildcard")
		},
	}
}

// plaintextWriter is a rule that writes resources in plaintext.
type plaintextWriter struct {
	rule      int
	field     string
	resources []string
	first     bool // something that encrypts is behind identity
}

func (s *Subject) plaintextWriters() []plaintextWriter {
	var writers []plaintextWriter
	for i, rule := range s.Configuration.Rules {
		w := plaintextWriter{rule: i, field: s.ruleField(i)}
		for _, r := range rule.Resources {
			gr := encryption.ParseGroupResource(r)
			providers := s.Configuration.ProvidersFor(gr)
			if s.Configuration.RulesFor(gr)[0] != i || providers[0].Type != encryption.Identity {
				continue // another rule writes it
			}
			encrypts := encryption.Rule{Providers: providers}.Encrypts()
			if !encrypts && s.isExempt(i, gr) {
				continue
			}
			w.first = w.first || encrypts
			w.resources = append(w.resources, r)
		}
		if len(w.resources) > 0 {
			writers = append(writers, w)
		}
	}
	return writers
}

// isExempt reports whether a later wildcard would encrypt a resource that a rule leaves in
// plaintext, other than Secrets, which nobody exempts on purpose.
func (s *Subject) isExempt(rule int, gr encryption.GroupResource) bool {
	if gr == (encryption.GroupResource{Resource: "secrets"}) {
		return false
	}
	for _, later := range s.Configuration.Rules[rule+1:] {
		for _, r := range later.Resources {
			wildcard := encryption.ParseGroupResource(r)
			covers := wildcard == encryption.Everything() || gr.Resource != "*" && wildcard == encryption.GroupResource{Resource: "*", Group: gr.Group}
			if covers && later.Encrypts() {
				return true
			}
		}
	}
	return false
}
