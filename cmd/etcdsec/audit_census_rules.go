package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// expectedWriters says which key is right for which resource, from a configuration or from
// the names of keys; nil if there are neither.
func expectedWriters(configPath string, keyNames []string) ([]audit.EncryptionRule, error) {
	if configPath != "" {
		// As much as kube-apiserver needs for any number of resources.
		const most = 1 << 20
		data, err := durable.ReadFile(configPath, most)
		if err != nil {
			return nil, usageError(fmt.Errorf("reading the encryption configuration: %w", err), "")
		}
		rules, err := encryptionRules(data)
		if err != nil {
			return nil, usageError(fmt.Errorf("reading the encryption configuration: %s: %w", configPath, err), "")
		}
		return rules, nil
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

// namedProvider is a provider of an EncryptionConfiguration without the secrets of its keys.
type namedProvider struct {
	Keys []struct {
		Name string `json:"name"`
	} `json:"keys"`
	Name       string `json:"name"`       // of a KMS
	APIVersion string `json:"apiVersion"` // of a KMS
}

// encryptionRules reads the names in an EncryptionConfiguration, in their order. An error
// never quotes the file, because that holds keys.
func encryptionRules(data []byte) ([]audit.EncryptionRule, error) {
	var config struct {
		Kind      string `json:"kind"`
		Resources []struct {
			Resources []string                    `json:"resources"`
			Providers []map[string]*namedProvider `json:"providers"`
		} `json:"resources"`
	}
	if yaml.Unmarshal(data, &config) != nil || config.Kind != "EncryptionConfiguration" {
		return nil, errors.New("not the YAML of an EncryptionConfiguration")
	}
	var rules []audit.EncryptionRule
	for i, entry := range config.Resources {
		rule := audit.EncryptionRule{Resources: entry.Resources}
		for j, provider := range entry.Providers {
			if len(provider) != 1 {
				return nil, fmt.Errorf("resources[%d].providers[%d]: want one provider, got %d", i, j, len(provider))
			}
			for kind, p := range provider {
				writers, err := writersOf(kind, p)
				if err != nil {
					return nil, fmt.Errorf("resources[%d].providers[%d]: %w", i, j, err)
				}
				rule.Writers = append(rule.Writers, writers...)
			}
		}
		if len(rule.Resources) == 0 || len(rule.Writers) == 0 {
			return nil, fmt.Errorf("resources[%d]: it names no resource or no provider", i)
		}
		rules = append(rules, rule)
	}
	if len(rules) == 0 {
		return nil, errors.New("it has no resources")
	}
	return rules, nil
}

// writersOf are the keys of one provider, as the prefixes of stored values name them: up to
// the first colon, of a name that holds one.
func writersOf(kind string, p *namedProvider) ([]audit.Writer, error) {
	if p == nil {
		p = &namedProvider{}
	}
	var names []string
	switch kind {
	case audit.IdentityProvider:
		return []audit.Writer{{Provider: kind}}, nil
	case "kms":
		names = []string{p.Name}
		switch p.APIVersion {
		case "v2":
			kind = "kms v2"
		case "v1", "": // its default
			kind = "kms v1"
		default:
			return nil, errors.New("unknown version of KMS")
		}
	case "aescbc", "aesgcm", "secretbox":
		for _, key := range p.Keys {
			names = append(names, key.Name)
		}
	default:
		return nil, errors.New("unknown provider")
	}
	var writers []audit.Writer
	for _, name := range names {
		cut, _, _ := strings.Cut(name, ":")
		if cut == "" {
			return nil, errors.New("a key without a name")
		}
		writers = append(writers, audit.Writer{Provider: kind, Key: cut})
	}
	if len(writers) == 0 {
		return nil, errors.New("it has no keys")
	}
	return writers, nil
}
