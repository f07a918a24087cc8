package data

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// Relocatable finds ciphertext that decrypts under any key of etcd, and copies of ciphertext.
func Relocatable() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "data-relocatable",
		Title:    "Stored ciphertext can be moved to another object",
		Severity: audit.Low,
		Rationale: "secretbox and aescbc do not bind ciphertext to its key in etcd, and neither did KMS v1 before Kubernetes " +
			"1.25. An attacker who can write to etcd, but has no encryption key, can copy the ciphertext of another Secret " +
			"over a Secret that he may read through the API, and read it. aesgcm and KMS v2 authenticate the key in etcd " +
			"together with the value.",
		Method: "Reads from every stored value who encrypted it, and compares the ciphertext of all values. The nonce is " +
			"random, so no API server stores the same ciphertext twice: if two keys have the same one, somebody copied it, " +
			"and the severity is high.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Encrypt with KMS v2, let only the API servers write to etcd, and run the audit again:"),
				audit.Paste("etcdsec audit run -f %s", p.Spec()),
				audit.Paste("etcdsec audit census --endpoints %s", p.Endpoints()),
			}
		},
		References: []string{
			"NIST 800-53 SC-28(1)", "NIST 800-53 SI-7",
			"k8s.io/apiserver pkg/storage/value/encrypt/secretbox/secretbox.go",
		},
		Run: judgeCensus(runRelocatable),
	})
}

func runRelocatable(r *reading) {
	var bound, movable int64
	var samples []string
	for _, resource := range r.census.Resources {
		for _, w := range resource.Writers {
			r.arose = true
			if w.Provider == audit.AESGCMProvider || w.Provider == audit.KMSv2Provider {
				bound += w.Objects
				continue
			}
			movable += w.Objects
			samples = append(samples, resource.Resource+" with "+w.String())
		}
	}
	if n := r.census.Copies.Objects; n > 0 {
		r.severity = audit.High
		r.addFinding("copied", "%s with the ciphertext of another object%s", count(n, "object"), joinNames(r.census.Copies.Named, n))
	}
	if movable > 0 {
		r.addFinding("unbound", "%s whose ciphertext decrypts under any key of etcd%s", count(movable, "object"), joinNames(samples, int64(len(samples))))
	}
	r.passed = fmt.Sprintf("%s, each bound to its key in etcd", count(bound, "encrypted object"))
	r.skipped = "no object is encrypted"
}
