package main

import (
	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki"
)

// addRootKeyFlags adds the flags for storing and opening the keys of roots.
func addRootKeyFlags(cmd *cobra.Command, files *pki.RootKeyFiles) {
	cmd.Flags().StringArrayVar(&files.Recipients, "root-key-recipient", nil, "encrypt the roots' keys to an age `recipient`: age1pq1…, age1… or an SSH public key; may be repeated")
	cmd.Flags().StringVar(&files.RecipientsPath, "root-key-recipients-file", "", "`path` of a file with one recipient per line")
	cmd.Flags().StringVar(&files.PassphrasePath, "root-key-passphrase-file", "", "`path` of the file with the passphrase that encrypts and opens the roots' keys")
	cmd.Flags().StringVar(&files.IdentityPath, "root-key-identity", "", "`path` of the age identity that opens encrypted keys")
	cmd.Flags().BoolVar(&files.Destroy, "root-key-destroy", false, "destroy every form and copy of the roots' keys: issuing CAs can then never be renewed")
}
