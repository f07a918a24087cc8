package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// otherNames are the names that other tools give to flags of this one.
func otherNames() map[string]string {
	return map[string]string{
		"cafile": "cacert", "ca-file": "cacert", "ca": "cacert", "trusted-ca-file": "cacert", "etcd-cafile": "cacert", "certificate-authority": "cacert",
		"certfile": "cert", "cert-file": "cert", "client-cert": "cert", "etcd-certfile": "cert", "client-certificate": "cert",
		"keyfile": "key", "key-file": "key", "client-key": "key", "etcd-keyfile": "key",
		"etcd-servers": "endpoints", "write-out": "output", "format": "output", "json": "output",
		"spec": "file", "filename": "file", "store": "pki", "dryrun": "dry-run", "dry": "dry-run",
	}
}

// flagError returns the usage error for flags that are wrong, with the nearest flag for one that does not
// exist.
func flagError(cmd *cobra.Command, err error) error {
	hint := cmd.CommandPath() + " --help"
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return usageError(err, hint)
	}
	if near := nearestFlag(cmd.Flags(), unknown.GetSpecifiedName()); near != "" {
		err = fmt.Errorf("%w; the nearest is --%s", err, near)
	}
	return usageError(err, hint)
}

// nearestFlag returns the name of the flag that was meant by a wrong one, or "".
func nearestFlag(flags *pflag.FlagSet, written string) string {
	written = strings.ToLower(strings.ReplaceAll(written, "_", "-"))
	if meant, known := otherNames()[written]; known && flags.Lookup(meant) != nil {
		return meant
	}
	best, least := "", 1+len(written)/3
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		d := distance(written, f.Name)
		if len(written) > 2 && strings.HasPrefix(f.Name, written) {
			d = 0
		}
		if d < least || d == least && best == "" {
			best, least = f.Name, d
		}
	})
	return best
}

// distance returns the number of letters to insert, delete or replace to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0]++
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
