package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
	"github.com/etcdsec/etcdsec/policies/lint"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// policiesProveFlags are what the operator wrote.
type policiesProveFlags struct {
	spec      string
	topology  []string
	strict    bool
	selection checkSelection
	failOn    string
	format    string
}

func newPoliciesProveCommand(a *app) *cobra.Command {
	var flags policiesProveFlags
	cmd := &cobra.Command{
		Use:   "prove -f cluster.yaml [[NODE=]POLICY-FILE...]",
		Short: "Prove who reaches which port of etcd, and which rule decides",
		Long: `Follow a packet from everyone, members, API servers, scrapers, backups, other nodes, Pods on
each kind of node, somebody outside, to each port of each member, through every filter in its
way, and compare what happens to it with what the spec wants:

  every member reaches every member's peer port, one that is about to join too;
  every API server reaches every member's client port; nobody else reaches either;
  scrapers reach the metrics port and no other.

Without files it judges what "policies render" writes for spec.isolation.backends. With files it
judges these alone: NetworkPolicies, ClusterNetworkPolicies and AdminNetworkPolicies, Calico's
and Cilium's policies, host endpoints and FelixConfigurations, as YAML or JSON, in Lists or
several documents; what "nft -j list ruleset" prints, of the node that NODE= names or of every
node; unit files and drop-ins (*.conf, *.service) with IPAddressAllow= and IPAddressDeny=, of the
member that NODE= names or of all. "-" is standard input. Nodes, namespaces and Pods among them
say where everything runs; --topology takes only these from a file. Without them, one Pod of
each kind stands for all.

The policies are also searched for what is a mistake whatever else is there; "etcdsec audit
list --checks 'policy-*'" lists these checks.

In the matrix "yes" is reached and wanted, "-" neither, OPEN reached and not wanted, CUT wanted
and not reached, "local" what stays on its own host, and "?" could not be told.

Reads the files; writes to stdout only; uses no network and sends no packet.

Exit status: 0 it holds, 1 it could not be told, 2 bad command line or spec, 3 it does not
hold, or a finding has the severity of --fail-on.`,
		Example: `  etcdsec policies prove -f cluster.yaml
  etcdsec policies prove -f cluster.yaml policies.yaml -o json
  kubectl get nodes,namespaces,pods,networkpolicies -A -o json | etcdsec policies prove -f cluster.yaml -
  ssh root@10.0.0.11 nft -j list ruleset > cp-0.json; etcdsec policies prove -f cluster.yaml cp-0=cp-0.json`,
		RunE: func(_ *cobra.Command, given []string) error { return a.provePolicies(flags, given) },
	}
	specFlag(cmd, &flags.spec)
	f := cmd.Flags()
	f.StringArrayVar(&flags.topology, "topology", nil, "`file` of which only nodes, namespaces and Pods are taken; may be repeated")
	f.BoolVar(&flags.strict, "strict", false, "without files, the form of cilium that needs its nodeSelectorLabels")
	flags.selection.addFlags(cmd)
	failOnFlag(cmd, &flags.failOn, audit.Medium)
	outputFlag(cmd, &flags.format, "text", "json")
	return cmd
}

// proof is the result, as JSON has it. Fields are only ever added.
type proof struct {
	SchemaVersion int    `json:"schema_version"`
	Cluster       string `json:"cluster"`
	reach.Proof
	// Judged is where the filters are from: files, or the backends that were rendered.
	Judged   []string       `json:"judged"`
	Findings []audit.Result `json:"findings"`
	Skipped  []skippedFile  `json:"skipped"`
}

type skippedFile struct {
	File string `json:"file"`
	Kind string `json:"kind"`
	Name string `json:"name"`
	Why  string `json:"why"`
}

func (a *app) provePolicies(flags policiesProveFlags, paths []string) error {
	failOn, err := parseFailOn(flags.failOn)
	if err != nil {
		return err
	}
	checks, err := flags.selection.of(lint.Catalog())
	if err != nil {
		return err
	}
	if flags.strict && len(paths) > 0 {
		return usageError(errors.New("--strict is about what is rendered, and files are given"), "")
	}
	c, err := a.loadSpec(flags.spec)
	if err != nil {
		return err
	}
	intent, err := policies.NewIntent(c)
	if err != nil {
		return usageError(err, "")
	}
	for _, w := range intent.Warnings {
		a.narrate("warning: %s", w)
	}
	files := policyFiles{stdin: a.stdin, intent: intent}
	if flags.spec == "-" {
		files.stdin = nil
	}
	if err := files.read(paths); err != nil {
		return err
	}
	if len(paths) == 0 {
		if err := files.render(intent, flags.strict, flags.spec); err != nil {
			return err
		}
	}
	where, err := files.topology(flags.topology)
	if err != nil {
		return err
	}
	topology := reach.NewTopology(intent, where)
	p := proof{
		SchemaVersion: 1, Cluster: intent.Cluster, Judged: files.judged,
		Proof: reach.Prove(intent, topology, files.filters, audit.Place{SpecPath: flags.spec}), Findings: []audit.Result{}, Skipped: []skippedFile{},
	}
	var ids []string
	for _, check := range checks {
		ids = append(ids, check.ID)
	}
	report := lint.Run(ids, &lint.Subject{Name: intent.Cluster, SpecPath: flags.spec, Intent: intent, Topology: topology, Filters: files.filters})
	for _, r := range report.Results {
		if r.Verdict == audit.Fail || r.Verdict == audit.Unknown {
			p.Findings = append(p.Findings, r)
		}
	}
	for _, s := range files.filters.Objects.Skipped {
		p.Skipped = append(p.Skipped, skippedFile{s.File, s.Kind, s.Name, s.Why})
	}
	if flags.format == "json" {
		err = a.printJSON(p)
	} else {
		err = a.printProof(p)
	}
	if err != nil {
		return err
	}
	return proofStatus(p, failOn)
}

// proofStatus is the exit status of a proof that was written.
func proofStatus(p proof, failOn audit.Severity) error {
	is := func(v audit.Verdict) bool {
		return slices.ContainsFunc(p.Findings, func(r audit.Result) bool {
			return r.Verdict == v && (v == audit.Unknown || r.Severity.Rank() <= failOn.Rank())
		})
	}
	switch {
	case len(p.Unknown) > 0 || len(p.Flows) == 0 || is(audit.Unknown):
		return statusError{status: statusFailed}
	case len(p.Violations) > 0 || is(audit.Fail):
		return statusError{status: statusFindings}
	}
	return nil
}

// render takes what the spec's backends would be given.
func (f *policyFiles) render(i *policies.Intent, strict bool, spec string) error {
	for _, backend := range i.Backends {
		r, err := policies.Render(i, backend, policies.RenderOptions{CiliumStrict: strict})
		if refusal, ok := errors.AsType[policies.Refusal](err); ok {
			hint := ""
			if len(refusal.Instead) > 0 {
				hint = "etcdsec policies render --backend " + refusal.Instead[0] + " -f " + spec
			}
			return usageError(refusal, hint)
		}
		if err != nil {
			return failure(err, "")
		}
		f.judged = append(f.judged, backend)
		if r.Rules != nil {
			f.filters.Rules = r.Rules
		}
		f.filters.Units = append(f.filters.Units, r.Units...)
		// What a reader of the text would make of it, and not what it was made from.
		if len(r.Units) > 0 || r.Rules != nil {
			continue
		}
		o, err := kube.Decode(backend, r.Text)
		if err != nil {
			return failure(fmt.Errorf("reading back what was rendered: %w", err), "")
		}
		f.filters.Objects.Add(o)
	}
	return nil
}
