package host

import (
	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
	"github.com/etcdsec/etcdsec/manifests/encryption/lint"
)

// parseEncryption returns what the API server with the given settings makes of its encryption
// configuration. The file may be that of an older release, which has KMS v1 on.
func parseEncryption(path string, data []byte, s *audit.Settings) *audit.EncryptionConfig {
	config := lint.Examine(makePrintable(path), data, encryption.Server{KMSv1: true, Reload: s.Enabled(encryptionReload)})
	for _, texts := range [][]string{config.Refused, config.Resources} {
		for i, text := range texts {
			texts[i] = makePrintable(text)
		}
	}
	for i := range config.Findings {
		config.Findings[i].Text = makePrintable(config.Findings[i].Text)
	}
	return config
}

const (
	encryptionConfig = "encryption-provider-config"
	encryptionReload = "encryption-provider-config-automatic-reload"
)
