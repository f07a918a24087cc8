package data

import (
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// WeakProvider finds objects that a weak provider encrypted.
func WeakProvider() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "data-weak-provider",
		Title:    "Objects are encrypted by a weak provider",
		Severity: audit.Medium,
		Rationale: "aescbc authenticates nothing: whoever can write to etcd can change an object without being noticed, and " +
			"learns about its contents from the errors. aesgcm has a random nonce of 12 bytes, so its key must be replaced " +
			"before 200,000 writes. KMS v1 is deprecated, and off by default since Kubernetes 1.29.",
		Method: "Reads from the first bytes of every stored value who encrypted it.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Rotate to a strong provider, secretbox or KMS v2, which rewrites every object:"),
				audit.Paste("etcdsec encryption rotate %s --kubeconfig /etc/kubernetes/admin.conf --to secretbox", p.Store()),
			}
		},
		References: []string{
			"CIS Kubernetes Benchmark v1.12 1.2.28", "NIST 800-53 SC-13", "NIST 800-53 SC-28(1)", "PCI DSS 4.0.1 3.5.1",
			"https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#providers",
		},
		Run: judgeCensus(runWeakProvider),
	})
}

func runWeakProvider(r *reading) {
	type provider struct {
		audit.Provider
		code, fault string
	}
	weak := []provider{
		{audit.AESCBCProvider, "aescbc", "which authenticates nothing"},
		{audit.AESGCMProvider, "aesgcm", "whose key must be replaced before 200,000 writes"},
		{audit.KMSv1Provider, "kms-v1", "which is deprecated"},
	}
	objects := make([]int64, len(weak))
	samples := make([][]string, len(weak))
	var strong int64
	for _, resource := range r.census.Resources {
		for _, w := range resource.Writers {
			r.arose = true
			at := slices.IndexFunc(weak, func(p provider) bool { return p.Provider == w.Provider })
			if at < 0 {
				strong += w.Objects
				continue
			}
			objects[at] += w.Objects
			for _, name := range w.Sample {
				samples[at] = append(samples[at], resource.Resource+" "+name)
			}
		}
	}
	for i, p := range weak {
		if objects[i] > 0 {
			r.addFinding(p.code, "%s with %s, %s%s", count(objects[i], "object"), p.Provider, p.fault, joinNames(samples[i], objects[i]))
		}
	}
	r.passed = fmt.Sprintf("%s, all by secretbox or KMS v2", count(strong, "encrypted object"))
	r.skipped = "no object is encrypted"
}
