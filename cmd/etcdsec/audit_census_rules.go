package main

import (
	"fmt"
	"slices"
	"strings"

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
		return encryptionRules(configuration), nil
	}
	if len(keyNames) == 0 {
		return nil, nil
	}
	var rule audit.EncryptionRule
	for _, written := range keyNames {
		provider, name, both := strings.Cut(written, ":")
		if !both {
			provider, name = "", written
		}
		known := []string{"", "aescbc", "aesgcm", "secretbox", "kms v1", "kms v2"}
		if name == "" || strings.Contains(name, ":") || !slices.Contains(known, provider) {
			return nil, usageError(fmt.Errorf("--key-name %q: want NAME, or PROVIDER:NAME with a provider of %s", written, strings.Join(known[1:], ", ")), "--key-name secretbox:NAME")
		}
		rule.Writers = append(rule.Writers, audit.Writer{Provider: provider, Key: name})
	}
	return []audit.EncryptionRule{rule}, nil
}

// encryptionRules are the names in a configuration, in their order.
func encryptionRules(c *encryption.Configuration) []audit.EncryptionRule {
	var rules []audit.EncryptionRule
	for _, rule := range c.Rules {
		var expected audit.EncryptionRule
		for _, r := range rule.Resources {
			expected.Resources = append(expected.Resources, encryption.ParseGroupResource(r).String())
		}
		for _, p := range rule.Providers {
			expected.Writers = append(expected.Writers, censusWriters(p)...)
		}
		rules = append(rules, expected)
	}
	return rules
}

// censusWriters are the keys of one provider, as the prefixes of stored values name them: up
// to the first colon, of a name that holds one.
func censusWriters(p encryption.Provider) []audit.Writer {
	kind := string(p.Type)
	if p.Type == encryption.KMS {
		kind += " " + p.Plugin.APIVersion
	}
	var writers []audit.Writer
	for _, ref := range p.Refs() {
		name, _, _ := strings.Cut(ref.Name, ":")
		writers = append(writers, audit.Writer{Provider: kind, Key: name})
	}
	return writers
}
