package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
)

func newEncryptionRotateStatusCommand(a *app) *cobra.Command {
	var flags encryptionRotateFlags
	cmd := &cobra.Command{
		Use:   "status DIR --kubeconfig FILE",
		Short: "Say how far a rotation is",
		Long: `Say which stage of a rotation is in force, what each API server has loaded, and what the next
step does. Changes nothing.

Exit status: 0 no rotation is under way, 1 it cannot be told, 2 bad command line, 3 one is.`,
		Example: `  etcdsec encryption rotate status ./store --kubeconfig admin.conf
  etcdsec encryption rotate status ./store --kubeconfig admin.conf -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.rotationStatus(cmd.Context(), flags, given[0])
		},
	}
	flags.addFlags(cmd)
	return cmd
}

// rotationPlan is the JSON of rotate --dry-run where no rotation is under way. Fields are only ever added.
type rotationPlan struct {
	SchemaVersion int                    `json:"schema_version"`
	From          []audit.Writer         `json:"from"`
	To            audit.Writer           `json:"to"`
	Counts        []rotation.Count       `json:"counts"` // of the resources that are rewritten
	Servers       []rotation.ServerState `json:"servers"`
}

// printPlan says what a rotation would do, and what it would find.
func (a *app) printPlan(ctx context.Context, format string, r *rotation.Rotation, plan rotation.Plan) error {
	counts, err := r.Census(ctx, &plan)
	if err != nil {
		return failure(fmt.Errorf("taking the census: %w", err), "")
	}
	p := rotationPlan{SchemaVersion: 1, From: plan.From, To: plan.To, Counts: counts, Servers: r.Loaded(ctx, &plan)}
	p.To.Key = "" // the key is made by the run that keeps it
	if format == "json" {
		return a.printJSON(p)
	}
	if _, err := fmt.Fprintf(a.stdout, "from %s\nto a new %s\n\n", joined(p.From), encryption.Describe(p.To)); err != nil {
		return err
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "RESOURCE\tENCRYPTED BY\tOBJECTS") // Flush gives the error
	for _, count := range p.Counts {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%d\n", count.Resource, encryption.Describe(count.Writer), count.Objects)
	}
	_, _ = fmt.Fprintln(table)
	writeServers(table, p.Servers)
	if err := table.Flush(); err != nil {
		return err
	}
	return faultyServers(p.Servers)
}

func writeServers(table *tabwriter.Writer, servers []rotation.ServerState) {
	_, _ = fmt.Fprintln(table, "API SERVER\tHAS LOADED")
	for _, s := range servers {
		has := s.Hash
		switch {
		case s.Fault != "":
			has = "unknown: " + s.Fault
		case s.Stage != "":
			has = string(s.Stage)
		case has == "":
			has = "no encryption configuration"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\n", s.Name, has)
	}
}

func faultyServers(servers []rotation.ServerState) error {
	if slices.ContainsFunc(servers, func(s rotation.ServerState) bool { return s.Fault != "" }) {
		return failure(errors.New("not every API server can be asked"), "")
	}
	return nil
}

func (a *app) rotationStatus(ctx context.Context, flags encryptionRotateFlags, dir string) error {
	r, _, err := a.rotationOf(flags, dir)
	if err != nil {
		return err
	}
	err = a.rotationStatusOf(ctx, flags.output, r)
	if errors.Is(err, rotation.ErrNone) {
		if flags.output == "json" {
			return a.printJSON(struct {
				SchemaVersion int  `json:"schema_version"`
				UnderWay      bool `json:"under_way"`
			}{1, false})
		}
		_, err := fmt.Fprintln(a.stdout, "no rotation is under way")
		return err
	}
	if err != nil {
		return err
	}
	return statusError{status: statusFindings}
}

// rotationStatusOf prints how far the rotation is.
func (a *app) rotationStatusOf(ctx context.Context, format string, r *rotation.Rotation) error {
	s, err := r.Status(ctx)
	if errors.Is(err, rotation.ErrNone) {
		return err
	}
	if err != nil {
		return failure(err, "")
	}
	if format == "json" {
		if err := a.printJSON(struct {
			SchemaVersion int  `json:"schema_version"`
			UnderWay      bool `json:"under_way"`
			rotation.State
		}{1, true, s}); err != nil {
			return err
		}
		return faultyServers(s.Servers)
	}
	direction := ""
	if s.Aborting {
		direction = ", and is taken back"
	}
	if _, err := fmt.Fprintf(a.stdout, "from %s to %s\nin force is %q%s\nnext: %s\n\n", joined(s.Plan.From), encryption.Describe(s.Plan.To), s.Stage, direction, s.Next); err != nil {
		return err
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	writeServers(table, s.Servers)
	if err := table.Flush(); err != nil {
		return err
	}
	return faultyServers(s.Servers)
}
