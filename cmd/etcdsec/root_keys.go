package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki"
)

// rootKeyFlags tell how a verb stores and opens the keys of roots.
type rootKeyFlags struct {
	pki.RootKeyFiles
	yes bool
}

func (files *rootKeyFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&files.Recipients, "root-key-recipient", nil, "encrypt the roots' keys to an age `recipient`: age1pq1…, age1… or an SSH public key; may be repeated")
	cmd.Flags().StringVar(&files.RecipientsPath, "root-key-recipients-file", "", "`path` of a file with one recipient per line")
	cmd.Flags().StringVar(&files.PassphrasePath, "root-key-passphrase-file", "", "`path` of the file with the passphrase that encrypts and opens the roots' keys")
	cmd.Flags().StringVar(&files.IdentityPath, "root-key-identity", "", "`path` of the age identity that opens encrypted keys")
	cmd.Flags().BoolVar(&files.Destroy, "root-key-destroy", false, "destroy every form and copy of the roots' keys: issuing CAs can then never be renewed")
	cmd.Flags().BoolVar(&files.yes, "yes", false, "with --root-key-destroy: do not ask on the terminal before the keys of a store are destroyed")
}

// confirm asks on the terminal before the keys of the roots of the store in dir are destroyed. Where
// nobody can be asked, it returns a usage error unless --yes is given. A new store has no keys yet.
func (files *rootKeyFlags) confirm(ctx context.Context, a *app, dir string) error {
	switch {
	case files.yes && !files.Destroy:
		return usageError(errors.New("--yes does nothing without --root-key-destroy"), "")
	case !files.Destroy || files.yes || pki.CheckStore(dir) != nil:
		return nil
	case !isTerminal(a.stdin):
		return usageError(errors.New("--root-key-destroy cannot be undone, and there is no terminal on which to ask: give --yes too"), "--dry-run shows which keys it destroys")
	}
	a.narrate("this destroys the keys of the roots in %s: when the issuing CAs end, nothing can be issued any more", dir)
	a.narrate("type yes to go on:")
	select {
	case <-ctx.Done():
		return failure(context.Cause(ctx), "")
	case answer := <-readLines(a.stdin):
		if strings.TrimSpace(answer) != "yes" {
			return failure(errors.New("the answer is not yes: nothing changed"), "")
		}
		return nil
	}
}
