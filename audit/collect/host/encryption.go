package host

import (
	"errors"
	"fmt"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
)

// encryptionConfig is an EncryptionConfiguration (k8s.io/apiserver/pkg/apis/apiserver/v1)
// without its keys.
type encryptionConfig struct {
	Kind      string `json:"kind"`
	Resources []struct {
		Resources []string                   `json:"resources"`
		Providers []map[string]providerShape `json:"providers"`
	} `json:"resources"`
}

// providerShape leaves out the keys and everything else but the version of a KMS provider.
type providerShape struct {
	APIVersion string `json:"apiVersion"`
}

// parseEncryption reads which providers encrypt which resources. An error never quotes the
// file.
func parseEncryption(data []byte) ([]audit.EncryptedResources, error) {
	var config encryptionConfig
	if yaml.Unmarshal(data, &config) != nil {
		return nil, errors.New("not the YAML of an EncryptionConfiguration")
	}
	if config.Kind != "EncryptionConfiguration" {
		return nil, fmt.Errorf("kind is %q, want EncryptionConfiguration", shorten(config.Kind))
	}
	known := []string{"identity", "aescbc", "aesgcm", "secretbox", "kms"}
	var found []audit.EncryptedResources
	for i, r := range config.Resources {
		entry := audit.EncryptedResources{}
		for _, name := range r.Resources {
			entry.Resources = append(entry.Resources, makePrintable(name))
		}
		for j, p := range r.Providers {
			if len(p) != 1 {
				return nil, fmt.Errorf("resources[%d].providers[%d]: want one provider, got %d", i, j, len(p))
			}
			for name, shape := range p {
				switch {
				case !slices.Contains(known, name):
					return nil, fmt.Errorf("resources[%d].providers[%d]: unknown provider", i, j)
				case name != "kms":
				case shape.APIVersion == "v2":
					name = "kms v2"
				case shape.APIVersion == "v1" || shape.APIVersion == "": // its default
					name = "kms v1"
				default:
					return nil, fmt.Errorf("resources[%d].providers[%d]: unknown version of KMS", i, j)
				}
				entry.Providers = append(entry.Providers, name)
			}
		}
		found = append(found, entry)
	}
	return found, nil
}
