package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
	"github.com/etcdsec/etcdsec/pki"
)

func newEncryptionRotateAbortCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "abort DIR",
		Short: "Reverse a rotation",
		Long: `Note that a rotation must be reversed. The next "encryption rotate" then goes back with the same
care: the old key encrypts again, objects of the new key are rewritten, a census proves it, and the
old file is in force again. After the old key was dropped, a rotation cannot be reversed: let it end,
then rotate again. Writes one file in DIR; uses no network.`,
		Example: `  etcdsec encryption rotate abort ./store
  etcdsec encryption rotate ./store --kubeconfig admin.conf`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error { return a.abortRotation(given[0]) },
	}
}

func (a *app) abortRotation(dir string) error {
	if err := checkRotationStore(dir); err != nil {
		return err
	}
	err := rotation.Abort(filepath.Join(dir, pki.KubernetesDir))
	if errors.Is(err, rotation.ErrNone) {
		return usageError(err, "")
	}
	if err != nil {
		return failure(err, "")
	}
	a.narrate("noted: the next run reverses the rotation")
	a.narrate("hint: etcdsec encryption rotate %s --kubeconfig admin.conf", shellword.Path(dir))
	return nil
}
