package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// Encryption finds a kube-apiserver that does not encrypt Secrets, or not well.
func Encryption() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-encryption",
		Title:    "Secrets are not set up to be encrypted well at rest",
		Severity: audit.High,
		Rationale: "Who reads etcd's data dir, a backup or a disk that was thrown away reads every Secret that is not " +
			"encrypted. Only the first provider of the first entry that covers Secrets encrypts; a benchmark that looks for " +
			"the flag passes a configuration that writes plaintext.",
		Method: "Reads the file of --encryption-provider-config as kube-apiserver does, and finds the provider that encrypts " +
			"a Secret that is written now. Judges the file as \"etcdsec encryption lint\" does: whether it is loaded, and " +
			"whether a key can be guessed or mixed up. No key is kept.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Encrypt Secrets with KMS v2, or with secretbox, and rewrite the ones that are stored:"),
				audit.Paste("--encryption-provider-config=/etc/kubernetes/encryption/encryption-config.yaml"),
				audit.Paste("etcdsec encryption generate -f %s %s", p.Spec(), p.Store()),
				audit.Paste("etcdsec encryption rotate %s --kubeconfig admin.conf", p.Store()),
			}
		},
		References: []string{
			"CIS Kubernetes Benchmark v1.12 1.2.27", "CIS Kubernetes Benchmark v1.12 1.2.28", "STIG V-274882",
			"NIST 800-53 SC-28", "NIST 800-53 SC-28(1)", "PCI DSS 4.0.1 3.5.1", "BSI APP.4.4.A20",
			"etcd THREAT_MODEL.md: The Data Storage Boundary",
		},
		Run: ofAPIServer(func(s *audit.Settings) audit.Outcome {
			o := worth(ask(s, secretsEncrypted), func(code string) audit.Severity { return encryptionSeverity(s.Encryption, code) })
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
		audit.Paste("etcdsec encryption lint %s", audit.ShellWord(path)),
		audit.Say("Replace a key that can be guessed by a random one, and rewrite what it encrypted:"),
		audit.Paste("head -c 32 /dev/urandom | base64"),
	}
}

// provider judges a provider of encryption as Kubernetes' documentation does ("Encrypting Confidential Data at Rest").
type provider struct {
	name        audit.Provider
	code, fault string // no code: in order
	severity    audit.Severity
}

func providers() []provider {
	return []provider{
		{audit.IdentityProvider, "identity-first", "which writes plaintext", audit.High},
		{audit.AESCBCProvider, "aescbc", "whose padding can be used to decrypt, and which authenticates nothing", audit.Medium},
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

func secretsEncrypted(r *reading) {
	path := r.value(encryptionFlag)
	if path == "" {
		r.found("not-configured", "kube-apiserver stores Secrets in plaintext: "+r.written(encryptionFlag))
		return
	}
	file, _ := r.settings.File(encryptionFlag)
	for _, at := range []string{path, file.Path} {
		if reason := r.settings.Fault(at); reason != "" {
			r.doubts(fmt.Sprintf("%s: %s", at, reason))
		}
	}
	c := r.settings.Encryption
	if c == nil {
		r.doubts(fmt.Sprintf("the file of %s was not read%s", r.written(encryptionFlag), because(file)))
		return
	}
	if len(c.Refused) > 0 {
		r.found("refused", "kube-apiserver does not start with "+path+": "+strings.Join(c.Refused, "; "))
		return
	}
	for _, f := range c.Findings {
		r.found(codeOf(f), path+", "+f.Text)
	}
	if len(c.Secrets) == 0 {
		r.found("secrets-not-covered", fmt.Sprintf("%s is about %q and leaves Secrets in plaintext", path, c.Resources))
		return
	}
	writes := c.Secrets[0]
	known := slices.IndexFunc(providers(), func(p provider) bool { return p.name == writes })
	if known < 0 {
		r.saw(fmt.Sprintf("%s writes Secrets with %s", path, writes))
		return
	}
	p := providers()[known]
	order := make([]string, len(c.Secrets))
	for i, provider := range c.Secrets {
		order[i] = string(provider)
	}
	r.found(p.code, fmt.Sprintf("%s writes Secrets with %s, %s; its providers are %s", path, p.name, p.fault, strings.Join(order, ", ")))
}
