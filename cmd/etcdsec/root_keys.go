package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/pki"
)

// rootKeyOptions say how the keys of roots are kept, and open those that are encrypted.
type rootKeyOptions struct {
	recipients     []string
	recipientsPath string
	passphrasePath string
	identityPath   string
	destroy        bool
}

func (o *rootKeyOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.recipients, "root-key-recipient", nil, "encrypt the roots' keys to an age `recipient`, age1pq1…, age1… or an SSH public key; repeatable")
	cmd.Flags().StringVar(&o.recipientsPath, "root-key-recipients-file", "", "`path` of a file of recipients, one on each line")
	cmd.Flags().StringVar(&o.passphrasePath, "root-key-passphrase-file", "", "`path` of a passphrase that encrypts the roots' keys, and opens them")
	cmd.Flags().StringVar(&o.identityPath, "root-key-identity", "", "`path` of the age identity that opens encrypted keys")
	cmd.Flags().BoolVar(&o.destroy, "root-key-destroy", false, "keep no key of a root: issuing CAs can never be renewed, only the roots replaced")
}

func (o *rootKeyOptions) read() (pki.RootKeys, pki.KeyAccess, error) {
	keep, access := pki.RootKeys{Recipients: o.recipients, Destroy: o.destroy}, pki.KeyAccess{}
	if o.recipientsPath != "" {
		const mostBytes = 256 << 10
		text, err := durable.ReadFile(o.recipientsPath, mostBytes)
		if err != nil {
			return keep, access, err
		}
		more, err := pki.ParseRecipients(text)
		if err != nil {
			return keep, access, fmt.Errorf("reading %s: %w", o.recipientsPath, err)
		}
		keep.Recipients = append(keep.Recipients, more...)
	}
	if o.passphrasePath != "" {
		text, err := pki.ReadSecret(o.passphrasePath)
		if err != nil {
			return keep, access, err
		}
		if keep.Passphrase, err = pki.ParsePassphrase(text); err != nil {
			return keep, access, fmt.Errorf("reading %s: %w", o.passphrasePath, err)
		}
		access.Passphrase = keep.Passphrase
	}
	if o.identityPath != "" {
		var err error
		if access.Identities, err = pki.ReadSecret(o.identityPath); err != nil {
			return keep, access, err
		}
	}
	if err := keep.Check(); err != nil {
		return keep, access, fmt.Errorf("keeping the roots' keys: %w", err)
	}
	return keep, access, nil
}
