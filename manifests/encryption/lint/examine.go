package lint

import (
	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// Examine returns what an API server makes of a configuration, and what is wrong with it that the
// file alone shows. Nothing in it is a key.
func Examine(path string, data []byte, server encryption.Server) *audit.EncryptionConfig {
	s := &Subject{Path: path, Writes: -1}
	s.Configuration, s.Refused = encryption.Parse(path, data, server)
	if s.Refused != nil {
		return &audit.EncryptionConfig{Refused: faultTexts(s.Refused)}
	}
	c := &audit.EncryptionConfig{}
	for _, rule := range s.Configuration.Rules {
		for _, r := range rule.Resources {
			c.Resources = append(c.Resources, joinNames([]string{r}))
		}
	}
	for _, p := range s.Configuration.ProvidersFor(encryption.GroupResource{Resource: "secrets"}) {
		c.Secrets = append(c.Secrets, p.StoredName())
	}
	for _, r := range Run(examined(), []*Subject{s}).Results {
		if r.Verdict == audit.Fail {
			c.Findings = append(c.Findings, audit.EncryptionFinding{CheckID: r.CheckID, Severity: r.Severity, Text: r.Evidence})
		}
	}
	return c
}

// examined are the checks whose answer needs nothing but the file, and that do not ask which
// provider writes Secrets, which Examine tells.
func examined() []Check {
	return []Check{noSuchResource(), maskedRule(), ignoredDocument(), weakKey(), shortKey(), sharedSecret(), duplicateKeyName(), keyNameColon(), kmsSocket()}
}
