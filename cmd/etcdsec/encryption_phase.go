package main

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/pki"
)

// storedPhase is the phase in the spec of the store that a file is in; empty if it is in no store,
// if the spec says nothing of encryption, or if the spec cannot be read.
func (a *app) storedPhase(path string) cluster.Phase {
	folder, err := filepath.Abs(filepath.Dir(path))
	if path == input.Stdin || err != nil || filepath.Base(folder) != pki.KubernetesDir {
		return ""
	}
	spec := filepath.Join(filepath.Dir(folder), pki.SpecName)
	c, err := cluster.Load(spec)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ""
	case err != nil:
		a.narrate("warning: the phase of %s is not known: %v", path, err)
		return ""
	case c.Encryption.Provider == "":
		return ""
	}
	a.narrate("%s: phase %s, from %s", path, c.Encryption.Phase, spec)
	return cluster.Phase(c.Encryption.Phase)
}
