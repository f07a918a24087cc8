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

// isolationFiles returns the files of the spec's backends for the store. A backend that is refused
// gives a warning and no error, so that the certificates are issued all the same.
func isolationFiles(c *cluster.Cluster) (files []manifests.File, warnings []string, err error) {
	intent, err := policies.NewIntent(c)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			warnings = append(warnings, strings.TrimSpace(line)+"; nothing is written that isolates etcd")
		}
		return nil, warnings, nil
	}
	warnings = intent.Warnings
	for _, name := range intent.Backends {
		backend, err := policies.FindBackend(name)
		if err != nil {
			return nil, warnings, err
		}
		made, err := backend.Files(intent)
		if refusal, ok := errors.AsType[policies.Refusal](err); ok {
			warnings = append(warnings, fmt.Sprintf("spec.isolation.backends: %v; nothing is written for it", refusal))
			continue
		}
		if err != nil {
			return nil, warnings, err
		}
		for _, f := range made {
			dir := pki.KubernetesDir
			if f.Member != "" {
				dir = path.Join("nodes", f.Member)
			}
			files = append(files, manifests.File{Path: path.Join(dir, f.Path), Data: f.Data})
		}
	}
	return files, warnings, nil
}
