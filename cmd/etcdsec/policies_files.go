package main

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests"
	"github.com/etcdsec/etcdsec/pki"
	"github.com/etcdsec/etcdsec/policies"
)

// nftablesFile is the name of the rules in the store: in the folder of each member those of its
// host, and in that of Kubernetes those of every other node.
const nftablesFile = "etcdsec.nft"

// isolationFiles are those of a spec's backends in the store. What a spec cannot have is a
// warning: the certificates do not wait for it.
func isolationFiles(c *cluster.Cluster) (files []manifests.File, warnings []string, err error) {
	intent, err := policies.NewIntent(c)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			warnings = append(warnings, strings.TrimSpace(line)+"; nothing is written that isolates etcd")
		}
		return nil, warnings, nil
	}
	warnings = intent.Warnings
	for _, backend := range intent.Backends {
		rendered, err := policies.Render(intent, backend, policies.RenderOptions{})
		if refusal, ok := errors.AsType[policies.Refusal](err); ok {
			warnings = append(warnings, fmt.Sprintf("spec.isolation.backends: %v; nothing is written for it", refusal))
			continue
		}
		if err != nil {
			return nil, warnings, err
		}
		switch backend {
		case "systemd":
			for _, unit := range rendered.Units {
				files = append(files, manifests.File{Path: path.Join("nodes", unit.Member, unit.Unit+".d", "isolation.conf"), Data: unit.Text})
			}
		case "nftables":
			for _, m := range intent.Members {
				files = append(files, manifests.File{Path: path.Join("nodes", m.Name, nftablesFile), Data: rendered.Text})
			}
			other, err := policies.Render(intent, backend, policies.RenderOptions{OtherNode: true})
			if err != nil {
				return nil, warnings, err
			}
			files = append(files, manifests.File{Path: path.Join(pki.KubernetesDir, nftablesFile), Data: other.Text})
		default:
			files = append(files, manifests.File{Path: path.Join(pki.KubernetesDir, "isolation-"+backend+".yaml"), Data: rendered.Text})
		}
	}
	return files, warnings, nil
}
