package lint

import (
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

func keyNameColon() Check {
	return Check{
		ID:       "encryption-key-name-colon",
		Title:    "The name of a key has a colon in it",
		Severity: audit.Medium,
		Rationale: "A value in etcd begins with k8s:enc:PROVIDER:v1:NAME: and kube-apiserver compares this beginning. So a key " +
			"\"a\" also tries the values of a key \"a:b\", and a reader of etcd cannot tell the two apart.",
		Method: "Looks for colons in the names of keys and of KMS plugins; v2 plugins cannot have one.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Add a key whose name has no colon, put it first, rewrite all objects, then remove the old key:"),
				audit.Paste("head -c 32 /dev/urandom | base64"),
			}
		},
		References: references("k8s.io/apiserver pkg/storage/value, NewPrefixTransformers"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range s.listPlaces(true) {
				if strings.Contains(p.secret().Name, ":") {
					f.add("colon", "%s: the %s", s.describeField(p.field), p.describeKey())
				}
			}
			for _, p := range s.listPlaces(false) {
				if p.p.Type == encryption.KMS && strings.Contains(p.p.Plugin.Name, ":") {
					f.add("colon", "%s: the KMS plugin %s", s.describeField(p.field+".kms"), encryption.ShowName(p.p.Plugin.Name))
				}
			}
			return f.outcome("no name has a colon")
		},
	}
}
