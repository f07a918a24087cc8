package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// Encryption finds a kube-apiserver that does not encrypt Secrets, or encrypts them with a weak provider.
func Encryption() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-encryption",
		Title:    "Secrets are not configured to be well encrypted at rest",
		Severity: audit.High,
		Rationale: "Whoever reads etcd's data dir, a backup or a discarded disk can read every Secret that is not encrypted. Only " +
			"the first provider of the first entry that covers Secrets encrypts. A benchmark that only looks for the flag " +
			"passes a configuration that writes plaintext.",
		Method: "Reads the resources and providers in the file of --encryption-provider-config, never its keys, and finds the " +
			"provider that encrypts a new Secret.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Encrypt Secrets with KMS v2 or secretbox, and rewrite the stored ones:"),
				audit.Paste("--encryption-provider-config=/etc/kubernetes/encryption/encryption-config.yaml"),
				audit.Paste("etcdsec encryption generate -f %s %s", p.Spec(), p.Store()),
				audit.Paste("etcdsec encryption rotate %s --kubeconfig /etc/kubernetes/admin.conf", p.Store()),
			}
		},
		References: []string{
			"CIS Kubernetes Benchmark v1.12 1.2.27", "CIS Kubernetes Benchmark v1.12 1.2.28", "STIG V-274882",
			"NIST 800-53 SC-28", "NIST 800-53 SC-28(1)", "PCI DSS 4.0.1 3.5.1", "BSI APP.4.4.A20",
		},
		Run: ofAPIServer(func(s *audit.Settings) audit.Outcome {
			return withWorstSeverity(ask(s, checkSecretsEncrypted), encryptionSeverity)
		}),
	})
}

// provider judges a provider of encryption as Kubernetes' documentation does ("Encrypting Confidential Data at Rest").
type provider struct {
	name, code, fault string // no code means no fault
	severity          audit.Severity
}

func providers() []provider {
	return []provider{
		{"identity", "identity-first", "which writes plaintext", audit.High},
		{"aescbc", "aescbc", "which authenticates nothing, and whose padding helps an attacker to decrypt", audit.Medium},
		{"aesgcm", "aesgcm", "whose key must be replaced before 200,000 writes", audit.Medium},
		{"kms v1", "kms-v1", "which is deprecated and off by default since Kubernetes 1.29", audit.Medium},
		{name: "secretbox"},
		{name: "kms v2"},
	}
}

func encryptionSeverity(code string) audit.Severity {
	for _, p := range providers() {
		if p.code == code {
			return p.severity
		}
	}
	return audit.High
}

func checkSecretsEncrypted(r *reading) {
	const flag = "encryption-provider-config"
	path := r.value(flag)
	if path == "" {
		r.addFinding("not-configured", "kube-apiserver stores Secrets in plaintext: "+r.describe(flag))
		return
	}
	file, _ := r.settings.File(flag)
	for _, at := range []string{path, file.Path} {
		if reason := r.settings.Fault(at); reason != "" {
			r.addDoubt(fmt.Sprintf("%s: %s", at, reason))
		}
	}
	if r.settings.Encryption == nil {
		r.addDoubt(fmt.Sprintf("the file of %s was not read%s", r.describe(flag), reasonSuffix(file)))
		return
	}
	at := slices.IndexFunc(r.settings.Encryption, coversSecrets)
	if at < 0 {
		var listed []string
		for _, e := range r.settings.Encryption {
			listed = append(listed, e.Resources...)
		}
		r.addFinding("secrets-not-covered", fmt.Sprintf("%s covers %q and leaves Secrets in plaintext", path, listed))
		return
	}
	order := r.settings.Encryption[at].Providers
	if len(order) == 0 {
		r.addDoubt(path + " names no provider for Secrets, and kube-apiserver does not start with it")
		return
	}
	known := slices.IndexFunc(providers(), func(p provider) bool { return p.name == order[0] })
	switch {
	case known < 0:
		r.addDoubt(fmt.Sprintf("%s encrypts Secrets with %q, which is an unknown provider", path, order[0]))
	case providers()[known].code != "":
		p := providers()[known]
		r.addFinding(p.code, fmt.Sprintf("%s writes Secrets with %s, %s; its providers are %s", path, p.name, p.fault, strings.Join(order, ", ")))
	default:
		r.addEvidence(fmt.Sprintf("%s writes Secrets with %s", path, order[0]))
	}
}

// coversSecrets reports whether an entry covers Secrets: by name, as part of the core group, or as part
// of all resources.
func coversSecrets(e audit.EncryptedResources) bool {
	return slices.ContainsFunc(e.Resources, func(resource string) bool {
		return slices.Contains([]string{"secrets", "*.", "*.*"}, resource)
	})
}
