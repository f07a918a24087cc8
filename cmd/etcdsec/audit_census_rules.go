package main

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// expectedWriters says which key is right for which resource, from a configuration or from
// the names of keys; nil if there are neither.
func expectedWriters(configPath string, keyNames []string) ([]audit.EncryptionRule, error) {
	if configPath != "" {
		data, err := durable.ReadFile(configPath, encryption.MaxSize)
		if err != nil {
			return nil, usageError(fmt.Errorf("reading the encryption configuration: %w", err), "")
		}
		// The census is of what is stored, so an API server of either setting may have it.
		configuration, err := encryption.Parse(configPath, data, encryption.Server{KMSv1: true})
		if err != nil {
			return nil, usageError(err, "etcdsec encryption lint "+configPath)
		}
		return configuration.Expected(), nil
	}
	if len(keyNames) == 0 {
		return nil, nil
	}
	var rule audit.EncryptionRule
	for _, written := range keyNames {
		w, err := audit.ParseWriter(written)
		if err != nil {
			return nil, usageError(fmt.Errorf("--key-name %w", err), "--key-name secretbox:NAME")
		}
		rule.Writers = append(rule.Writers, w)
	}
	return []audit.EncryptionRule{rule}, nil
}
