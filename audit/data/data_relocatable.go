package data

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// Relocatable finds ciphertext that decrypts wherever it is put, and such as was put there.
func Relocatable() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "data-relocatable",
		Title:    "Stored ciphertext can be moved to another object",
		Severity: audit.Low,
		Rationale: "secretbox and aescbc do not bind ciphertext to its key in etcd, nor did KMS v1 before Kubernetes 1.25. " +
			"Who writes to etcd, and has no key, copies the ciphertext of somebody's Secret over one that he may read through " +
			"the API, and reads it. aesgcm and KMS v2 authenticate the key in etcd with the value.",
		Method: "Reads who encrypted every stored value, and compares the ciphertext of all: the nonce is random, so that no API " +
			"server stores the same twice. Found under two keys, it was put there by hand, and the severity is high.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Encrypt with KMS v2, keep everybody but the API servers from writing to etcd, and look again:"),
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
		r.addFinding("copied", "%s with the ciphertext of another%s", count(n, "object"), joinNames(r.census.Copies.Named, n))
	}
	if movable > 0 {
		r.addFinding("unbound", "%s whose ciphertext decrypts under any key of etcd%s", count(movable, "object"), joinNames(samples, int64(len(samples))))
	}
	r.passed = fmt.Sprintf("%s, all bound to their keys in etcd", count(bound, "encrypted object"))
	r.skipped = "no object is encrypted"
}
