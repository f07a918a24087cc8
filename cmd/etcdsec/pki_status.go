package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit/collect"
	render "github.com/etcdsec/etcdsec/audit/report"
	"github.com/etcdsec/etcdsec/pki/status"
)

// pkiStatusFlags hold the flags as the operator wrote them.
type pkiStatusFlags struct {
	output  string
	path    string // of the file behind FORMAT=, or empty for stdout
	timeout time.Duration
}

func newPKIStatusCommand(a *app) *cobra.Command {
	var flags pkiStatusFlags
	cmd := &cobra.Command{
		Use:   "status DIR|FILE|ENDPOINT...",
		Short: "Show when each certificate ends and what is wrong with it",
		Long: `List every certificate of a store, of any folder such as /etc/kubernetes/pki, of PEM files,
and of live servers, with its state: ok, due (a third of its lifetime is left), expired,
not-yet-valid, wrong-names (not those of the spec), wrong-issuer, unreadable, and in a store
revoked (the certificate, or another one of the same key if the key was stolen). The CAs
behind a leaf in its file count: it ends when the first of them does. Of a folder,
every file is listed that has a certificate in PEM or the name of one. For what is due in
a store, DETAIL has the command that renews it, and says what a person has to bring for
it; in JSON that is remedy, in metrics etcdsec_certificate_needs_person.

An endpoint is https://host:port or host:port. The certificate that it serves is compared
with the one on disk, if another argument has it. In a store, "not yet picked up"
means that the newer files were not copied to their node. In the server's own folder,
"restart needed" means that the server does not read its files at each handshake, as etcd
does.

Works with the cluster down and with everything expired. Reads the files, and the certificates that
the endpoints serve; presents no certificate. Writes nothing.

Exit status: 0 nothing is due, 1 something could not be read or reached, 2 bad command line,
3 something is due.`,
		Example: `  etcdsec pki status ./store
  etcdsec pki status ./store https://10.0.0.11:2379 https://10.0.0.11:2380
  etcdsec pki status /etc/kubernetes/pki -o json
  etcdsec pki status ./store -o prometheus=/var/lib/node_exporter/etcdsec.prom`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return flags.run(cmd.Context(), a, given, cmd.Flags().Changed("timeout"))
		},
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *pkiStatusFlags) addFlags(cmd *cobra.Command) {
	outputFlag(cmd, &f.output, "text", "json", "prometheus")
	cmd.Flags().Lookup("output").Usage += "; FORMAT=FILE replaces a file at once"
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		format, path, toFile := strings.Cut(f.output, "=")
		if toFile && path == "" {
			return usageError(fmt.Errorf("-o %s: no file after the equals sign", f.output), "")
		}
		f.output, f.path = format, path
		return check(cmd, args)
	}
	cmd.Flags().DurationVar(&f.timeout, "timeout", collect.DefaultTimeout, "`how long` to wait for an endpoint")
}

func (f *pkiStatusFlags) run(ctx context.Context, a *app, targets []string, timeoutGiven bool) error {
	now := a.now()
	var onDisk []status.Held
	var addresses []string
	var faults []error
	for _, target := range targets {
		if _, err := os.Stat(target); err != nil && isEndpoint(target) {
			address, err := collect.ParseAddress(target)
			faults, addresses = append(faults, err), append(addresses, address)
			continue
		}
		held, err := status.Read(ctx, target, now)
		if errors.Is(err, fs.ErrNotExist) {
			return usageError(fmt.Errorf("%s is neither a file, a folder nor an endpoint: %w", target, err), "etcdsec pki status ./store https://10.0.0.11:2379")
		}
		if err != nil {
			return failure(err, "")
		}
		onDisk = append(onDisk, held...)
	}
	if err := errors.Join(faults...); err != nil {
		return usageError(err, "")
	}
	if timeoutGiven && len(addresses) == 0 {
		return usageError(errors.New("--timeout does nothing without an endpoint: nothing else is waited for"), "")
	}
	dial := func(ctx context.Context, address string) ([]*x509.Certificate, error) {
		return collect.Served(ctx, address, f.timeout)
	}
	live := status.Compare(ctx, addresses, dial, onDisk, now, a.progress("asked %d of %d endpoints"))
	report := status.New(onDisk, live, now)
	if err := f.print(a, report, now); err != nil {
		return err
	}
	switch n := report.Unreadable(); {
	case n > 0: // it could not tell, which beats findings
		return failure(fmt.Errorf("%d certificates could not be read", n), "")
	case report.Due() > 0:
		return statusError{status: statusFindings}
	}
	return nil
}

func (f *pkiStatusFlags) print(a *app, report status.Report, now time.Time) error {
	write := func(w io.Writer) error {
		switch f.output {
		case "json":
			return render.WriteJSON(w, report)
		case "prometheus":
			return report.WritePrometheus(w, now)
		}
		return report.WriteText(w)
	}
	switch {
	case f.path != "":
		if err := render.WriteFile(f.path, f.output, write); err != nil {
			return failure(fmt.Errorf("-o %s=%s: %w", f.output, f.path, err), "")
		}
		return nil
	case f.output == "text":
		return write(a.page())
	}
	return write(a.stdout)
}

func isEndpoint(target string) bool {
	if strings.Contains(target, "://") {
		return true
	}
	_, err := collect.ParseAddress(target)
	return err == nil && !strings.ContainsRune(target, filepath.Separator)
}
