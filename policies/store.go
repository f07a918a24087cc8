package policies

import (
	"errors"
	"fmt"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

// File is one file that a store keeps for a backend.
type File struct {
	Member string // whose node it is for; empty if it is for the cluster, or for every other node
	Path   string // slash-separated, below the folder of that node or of the cluster
	Data   []byte
}

// Files lists the files that a store keeps for a backend. The error is a Refusal if the backend cannot
// enforce the intent.
func (b Backend) Files(i *Intent) ([]File, error) { return b.files(i) }

// objectFiles lists the one file of a backend that is made of objects.
func objectFiles(name cluster.Backend) func(*Intent) ([]File, error) {
	return func(i *Intent) ([]File, error) {
		r, err := Render(i, name, RenderOptions{})
		if err != nil {
			return nil, err
		}
		return []File{{Path: "isolation-" + string(name) + ".yaml", Data: r.Text}}, nil
	}
}

// StoreFiles lists the files that a store keeps for all backends of a spec. A spec or a backend that is
// refused gives a warning and no error, so that the certificates are issued all the same.
func StoreFiles(c *cluster.Cluster) (files []File, warnings []string, err error) {
	intent, err := NewIntent(c)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			warnings = append(warnings, strings.TrimSpace(line)+"; nothing is written that isolates etcd")
		}
		return nil, warnings, nil
	}
	warnings = intent.Warnings
	for _, name := range intent.Backends {
		backend, err := FindBackend(name)
		if err != nil {
			return nil, warnings, err
		}
		made, err := backend.Files(intent)
		if refusal, ok := errors.AsType[Refusal](err); ok {
			warnings = append(warnings, fmt.Sprintf("spec.isolation.backends: %v; nothing is written for it", refusal))
			continue
		}
		if err != nil {
			return nil, warnings, err
		}
		files = append(files, made...)
	}
	return files, warnings, nil
}
