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
		Method: "Reads the file of --encryption-provider-config as kube-apiserver does, and finds the provider that encrypts a " +
			"new Secret. Judges the file as \"etcdsec encryption lint\" does: whether kube-apiserver loads it, and whether a " +
			"key can be guessed or mixed up. Keeps no key.",
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
			"etcd THREAT_MODEL.md: The Data Storage Boundary",
		},
		Run: ofAPIServer(func(s *audit.Settings) audit.Outcome {
			o := withWorstSeverity(ask(s, checkSecretsEncrypted), func(code string) audit.Severity { return encryptionSeverity(s.Encryption, code) })
			if s.Encryption != nil && (len(s.Encryption.Refused) > 0 || len(s.Encryption.Findings) > 0) {
				file, _ := s.File(encryptionFlag)
				o.Remediation = mendConfiguration(file.Path)
			}
			return o
		}),
	})
}

const encryptionFlag = "encryption-provider-config"

// mendConfiguration returns what to do about faults of the file itself.
func mendConfiguration(path string) audit.Remediation {
	return audit.Remediation{
		audit.Say("See every fault with its line and what to do about it:"),
		audit.Paste("etcdsec encryption lint %s", audit.Place{FilePath: path}.File()),
		audit.Say("Replace a key that can be guessed by a random one, and rewrite what it encrypted:"),
		audit.Paste("head -c 32 /dev/urandom | base64"),
	}
}

// provider judges a provider of encryption as Kubernetes' documentation does ("Encrypting Confidential Data at Rest").
type provider struct {
	name        audit.Provider
	code, fault string // no code means no fault
	severity    audit.Severity
}

func providers() []provider {
	return []provider{
		{audit.IdentityProvider, "identity-first", "which writes plaintext", audit.High},
		{audit.AESCBCProvider, "aescbc", "which authenticates nothing, and whose padding helps an attacker to decrypt", audit.Medium},
		{audit.AESGCMProvider, "aesgcm", "whose key must be replaced before 200,000 writes", audit.Medium},
		{audit.KMSv1Provider, "kms-v1", "which is deprecated and off by default since Kubernetes 1.29", audit.Medium},
	}
}

func encryptionSeverity(c *audit.EncryptionConfig, code string) audit.Severity {
	for _, p := range providers() {
		if p.code == code {
			return p.severity
		}
	}
	if c != nil {
		for _, f := range c.Findings {
			if codeOf(f) == code {
				return f.Severity
			}
		}
	}
	return audit.High
}

// codeOf returns the code of what a check of the file found, such as weak-key.
func codeOf(f audit.EncryptionFinding) string { return strings.TrimPrefix(f.CheckID, "encryption-") }

func checkSecretsEncrypted(r *reading) {
	path := r.value(encryptionFlag)
	if path == "" {
		r.addFinding("not-configured", "kube-apiserver stores Secrets in plaintext: "+r.describe(encryptionFlag))
		return
	}
	file, _ := r.settings.File(encryptionFlag)
	for _, at := range []string{path, file.Path} {
		if reason := r.settings.Fault(at); reason != "" {
			r.addDoubt(fmt.Sprintf("%s: %s", at, reason))
		}
	}
	c := r.settings.Encryption
	if c == nil {
		r.addDoubt(fmt.Sprintf("the file of %s was not read%s", r.describe(encryptionFlag), reasonSuffix(file)))
		return
	}
	if len(c.Refused) > 0 {
		r.addFinding("refused", "kube-apiserver does not start with "+path+": "+strings.Join(c.Refused, "; "))
		return
	}
	for _, f := range c.Findings {
		r.addFinding(codeOf(f), path+", "+f.Text)
	}
	if len(c.Secrets) == 0 {
		r.addFinding("secrets-not-covered", fmt.Sprintf("%s covers %q and leaves Secrets in plaintext", path, c.Resources))
		return
	}
	writes := c.Secrets[0]
	known := slices.IndexFunc(providers(), func(p provider) bool { return p.name == writes })
	if known < 0 {
		r.addEvidence(fmt.Sprintf("%s writes Secrets with %s", path, writes))
		return
	}
	p := providers()[known]
	order := make([]string, len(c.Secrets))
	for i, provider := range c.Secrets {
		order[i] = string(provider)
	}
	r.addFinding(p.code, fmt.Sprintf("%s writes Secrets with %s, %s; its providers are %s", path, p.name, p.fault, strings.Join(order, ", ")))
}
