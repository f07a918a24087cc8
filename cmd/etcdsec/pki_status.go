package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki"
)

func newPKIStatusCommand(a *app) *cobra.Command {
	var output string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status DIR|FILE|ENDPOINT...",
		Short: "Say when each certificate ends and what is wrong with it",
		Long: `List every certificate of a store, of any folder such as /etc/kubernetes/pki, of PEM files,
and of live servers, with its state: ok, due (a third of its lifetime is left), expired,
not-yet-valid, wrong-names (not those of the spec), wrong-issuer, unreadable. The CAs
behind a leaf in its file count: it ends when the first of them does.

An endpoint is https://host:port or host:port. What it serves now is compared with the
certificate on disk, where one is given that is for it: in a store, "not yet picked up" says
that the newer files were not copied to their node; in the server's own folder, "restart
needed" says that the server does not read its files anew, as etcd does at each handshake.

Works with the cluster down and with everything expired. Status 0: nothing is due; 3:
something is; 1: something could not be read or reached. Reads the files, and looks at
the certificates of the endpoints without showing one. Writes nothing.`,
		Example: `  etcdsec pki status ./store
  etcdsec pki status ./store https://10.0.0.11:2379 https://10.0.0.11:2380
  etcdsec pki status /etc/kubernetes/pki -o json
  etcdsec pki status ./store -o prometheus > /var/lib/node_exporter/etcdsec.prom`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.status(cmd.Context(), output, timeout, given)
		},
	}
	outputFlag(cmd, &output, "text", "json", "prometheus")
	cmd.Flags().DurationVar(&timeout, "timeout", collect.DefaultTimeout, "`how long` to wait for an endpoint")
	return cmd
}

// Words for what a live server presents beside what is on disk.
const (
	liveServed   = "served"
	liveBehind   = "not yet picked up"
	liveRestart  = "restart needed"
	liveDiskPast = "newer than on disk"
)

// statusRow is one certificate of the result.
type statusRow struct {
	Source   string     `json:"source"` // the file or endpoint
	Name     string     `json:"name"`
	Role     string     `json:"role"`
	Subject  string     `json:"subject,omitempty"`
	Issuer   string     `json:"issuer,omitempty"`
	Key      string     `json:"key,omitempty"`
	SANs     []string   `json:"sans,omitempty"`
	Serial   string     `json:"serial,omitempty"`
	NotAfter *time.Time `json:"not_after,omitempty"`
	DaysLeft int        `json:"days_left"`
	State    string     `json:"state"`
	Live     string     `json:"live,omitempty"`
	Detail   string     `json:"detail,omitempty"`
}

type statusResult struct {
	SchemaVersion int            `json:"schema_version"`
	Certificates  []statusRow    `json:"certificates"`
	Summary       map[string]int `json:"summary"` // by state
}

// holding is a certificate on disk, and whether its folder is an operator's store.
type holding struct {
	pki.Status
	inStore bool
}

func (a *app) status(ctx context.Context, output string, timeout time.Duration, targets []string) error {
	now := a.now()
	var held []holding
	var endpoints []string
	for _, target := range targets {
		if _, err := os.Stat(target); err != nil && isEndpoint(target) {
			endpoints = append(endpoints, target)
			continue
		}
		rows, err := a.diskStatus(ctx, target, now)
		if err != nil {
			return failure(err, "")
		}
		held = append(held, rows...)
	}
	result := statusResult{SchemaVersion: 1, Certificates: []statusRow{}, Summary: map[string]int{}}
	for _, h := range held {
		result.add(newStatusRow(h.Status, now))
	}
	live, err := a.liveStatuses(ctx, endpoints, timeout, held, now)
	if err != nil {
		return usageError(err, "")
	}
	for _, row := range live {
		result.add(row)
	}
	if err := a.printStatus(output, result, now); err != nil {
		return err
	}
	return result.verdict()
}

func isEndpoint(target string) bool {
	if strings.Contains(target, "://") {
		return true
	}
	_, err := collect.ParseAddress(target)
	return err == nil && !strings.ContainsRune(target, filepath.Separator)
}

func (a *app) diskStatus(ctx context.Context, target string, now time.Time) ([]holding, error) {
	spec := filepath.Join(target, pki.SpecName)
	inStore := false
	var rows []pki.Status
	if _, err := os.Stat(spec); err == nil {
		c, err := cluster.Load(spec)
		if err != nil {
			return nil, err
		}
		rows, inStore = pki.StoreStatus(target, c, now), true
	} else if rows, err = pki.FileStatus(ctx, target, now); err != nil {
		return nil, err
	}
	held := make([]holding, 0, len(rows))
	for _, row := range rows {
		held = append(held, holding{row, inStore})
	}
	if len(held) == 0 {
		return nil, fmt.Errorf("%s has no certificate: no file that ends in .crt, .pem, .cer or .cert", target)
	}
	return held, nil
}

func newStatusRow(s pki.Status, now time.Time) statusRow {
	row := statusRow{Source: s.Source, Name: s.Name, Role: s.Role, State: string(s.State), Detail: s.Detail}
	if len(s.Chain) == 0 {
		return row
	}
	cert, end := s.Chain[0], s.Ends().UTC()
	row.Subject, row.Issuer = cert.Subject.String(), cert.Issuer.CommonName
	row.Key, row.SANs, row.Serial = pki.KeyWords(cert), pki.SANs(cert), pki.SerialString(cert.SerialNumber)
	row.NotAfter, row.DaysLeft = &end, int(end.Sub(now).Hours()/24)
	return row
}

// liveStatuses asks a few endpoints at a time: one that does not answer takes the whole timeout.
func (a *app) liveStatuses(ctx context.Context, endpoints []string, timeout time.Duration, held []holding, now time.Time) ([]statusRow, error) {
	const atOnce = 16
	rows, errs := make([]statusRow, len(endpoints)), make([]error, len(endpoints))
	progress, turns := a.progress("asked"), make(chan struct{}, atOnce)
	var done atomic.Int64
	var wg sync.WaitGroup
	for i, endpoint := range endpoints {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			rows[i], errs[i] = liveStatus(ctx, endpoint, timeout, held, now)
			if n := done.Add(1); progress != nil {
				progress(int(n), len(endpoints))
			}
		})
	}
	wg.Wait()
	return rows, errors.Join(errs...)
}

// liveStatus is what an endpoint serves, beside what is on disk for it.
func liveStatus(ctx context.Context, endpoint string, timeout time.Duration, held []holding, now time.Time) (statusRow, error) {
	address, err := collect.ParseAddress(endpoint)
	if err != nil {
		return statusRow{}, err
	}
	status := pki.Status{Source: address, Name: address, Role: "live"}
	chain, unreached := collect.Served(ctx, address, timeout)
	status.Chain = chain
	if unreached == nil {
		status.State, status.Detail = pki.Judge(chain, now)
	} else {
		status.State, status.Detail = pki.StateUnreadable, unreached.Error()
	}
	row := newStatusRow(status, now)
	if len(chain) == 0 {
		return row, nil
	}
	host, _, _ := net.SplitHostPort(address) // ParseAddress has split it already
	disk, ok := onDisk(status, host, held)
	if !ok {
		return row, nil
	}
	row.Name = disk.Name
	diskSerial := pki.SerialString(disk.Chain[0].SerialNumber)
	switch {
	case disk.Chain[0].Equal(status.Chain[0]):
		row.Live = liveServed
	case disk.Chain[0].NotBefore.Before(status.Chain[0].NotBefore):
		row.Live, row.Detail = liveDiskPast, fmt.Sprintf("%s has serial number %s, which is older", disk.Source, diskSerial)
	case disk.inStore:
		row.Live, row.Detail = liveBehind, fmt.Sprintf("%s has serial number %s; copy it to the node", disk.Source, diskSerial)
	default:
		row.Live, row.Detail = liveRestart, fmt.Sprintf("%s has serial number %s, and the server presents another", disk.Source, diskSerial)
	}
	return row, nil
}

// onDisk finds the certificate on disk that is for an endpoint: a server's, for its host and
// for the uses of the one that is served; if there are several, the same one or that with
// the same key.
func onDisk(live pki.Status, host string, held []holding) (holding, bool) {
	served := live.Chain[0]
	var candidates []holding
	for _, h := range held {
		if len(h.Chain) == 0 || h.Role == "ca" || h.Chain[0].VerifyHostname(host) != nil {
			continue
		}
		if slices.Equal(pki.EKUNames(h.Chain[0].ExtKeyUsage), pki.EKUNames(served.ExtKeyUsage)) {
			candidates = append(candidates, h)
		}
	}
	if len(candidates) == 0 {
		return holding{}, false
	}
	for _, same := range []func(h holding) bool{
		func(h holding) bool { return h.Chain[0].Equal(served) },
		func(h holding) bool {
			return slices.Equal(h.Chain[0].RawSubjectPublicKeyInfo, served.RawSubjectPublicKeyInfo)
		},
		func(h holding) bool { return slices.Equal(h.Chain[0].RawSubject, served.RawSubject) },
	} {
		if at := slices.IndexFunc(candidates, same); at >= 0 {
			return candidates[at], true
		}
	}
	return candidates[0], true
}

func (r *statusResult) add(row statusRow) {
	r.Certificates = append(r.Certificates, row)
	r.Summary[row.State]++
}

// verdict is 1 where something could not be told, which beats 3.
func (r *statusResult) verdict() error {
	due := 0
	for _, row := range r.Certificates {
		if row.State != string(pki.StateOK) || row.Live == liveBehind || row.Live == liveRestart {
			due++
		}
	}
	switch {
	case r.Summary[string(pki.StateUnreadable)] > 0:
		return failure(fmt.Errorf("%d certificates could not be read", r.Summary[string(pki.StateUnreadable)]), "")
	case due > 0:
		return statusError{status: statusFindings}
	}
	return nil
}

func (a *app) printStatus(output string, r statusResult, now time.Time) error {
	switch output {
	case "json":
		return a.printJSON(r)
	case "prometheus":
		return printPrometheus(a.stdout, r, now)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "STATE\tNAME\tROLE\tENDS\tDAYS\tKEY\tISSUER\tNAMES\tDETAIL") // the writer remembers its error
	for _, row := range r.Certificates {
		state, ends, days := row.State, "", ""
		if row.Live != "" && row.Live != liveServed {
			state = row.Live
		}
		if row.NotAfter != nil {
			ends, days = row.NotAfter.Format(time.DateOnly), fmt.Sprint(row.DaysLeft)
		}
		name := row.Name
		if row.State == string(pki.StateUnreadable) || row.Role == "live" {
			name = row.Source
		}
		detail := row.Detail
		if row.Live == liveServed && detail == "" {
			detail = "served is what is on disk"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", state, name, row.Role, ends, days, row.Key, row.Issuer, shortNames(row.SANs), detail)
	}
	return w.Flush()
}

// shortNames are the first two, and how many more there are.
func shortNames(names []string) string {
	const most = 2
	if len(names) > most {
		return fmt.Sprintf("%s +%d", strings.Join(names[:most], " "), len(names)-most)
	}
	return strings.Join(names, " ")
}
