package main

import (
	"context"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/guard"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// nftablesPlan is what is to be done on a host, and what came of it.
type nftablesPlan struct {
	SchemaVersion int                `json:"schema_version"`
	Host          string             `json:"host"`
	Member        bool               `json:"member"`
	Changes       []policyDifference `json:"changes"`
	Cut           []cutConnection    `json:"cut"`
	Checks        []nftablesChecked  `json:"checks"`
	Outcome       string             `json:"outcome"` // planned, unchanged, kept or undone

	host   filteredHost
	rules  *nft.Ruleset
	live   *nft.Ruleset
	probes []guard.Probe // those that answered
}

// cutConnection is who is connected now and would not be any more.
type cutConnection struct {
	From string `json:"from"`
	Port uint16 `json:"port"`
}

// nftablesChecked is what answered, or not, before the change.
type nftablesChecked struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Answers bool   `json:"answers"`
	Detail  string `json:"detail,omitempty"`
}

func planNftables(ctx context.Context, i *policies.Intent, host filteredHost, n guard.Nft) (*nftablesPlan, error) {
	p := &nftablesPlan{
		SchemaVersion: 1, Host: host.name, Member: host.member, Outcome: "planned", host: host, rules: host.rules(i),
		Cut: []cutConnection{}, Checks: []nftablesChecked{},
	}
	var err error
	if p.live, err = n.Ruleset(ctx); err != nil {
		return nil, nftFailure(err, "apply -f cluster.yaml")
	}
	if err := n.Check(ctx, p.rules.Text()); err != nil {
		return nil, nftFailure(err, "apply -f cluster.yaml")
	}
	p.Changes = nftDifferences("", nft.Diff(p.rules, p.live))
	if len(p.Changes) == 0 {
		p.Outcome = "unchanged"
		return p, nil
	}
	if host.member {
		connected, err := guard.Connected(i.Ports.All())
		if err != nil {
			return nil, failure(err, "")
		}
		for _, c := range connected {
			if !i.Wanted(c.From.Addr(), c.To.Port()) && !slices.Contains(host.addrs, c.From.Addr()) {
				p.Cut = append(p.Cut, cutConnection{From: c.From.String(), Port: c.To.Port()})
			}
		}
	}
	probes := nftablesProbes(i, host)
	for n, err := range guard.Ask(ctx, probes) {
		c := nftablesChecked{Name: probes[n].Name, Address: probes[n].Address, Answers: err == nil}
		if err != nil {
			c.Detail = err.Error()
		} else {
			p.probes = append(p.probes, probes[n])
		}
		p.Checks = append(p.Checks, c)
	}
	return p, nil
}

// printNftablesPlan prints what is to be done, as text. JSON is printed once, with what came of it.
func (a *app) printNftablesPlan(output string, p *nftablesPlan) error {
	if output == "json" {
		return nil
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "host\t%s\n", p.host)
	for _, d := range p.Changes {
		_, _ = fmt.Fprintf(table, "change\t%s\t%s\t%s\n", d.What, d.Kind, d.detail())
	}
	for _, c := range p.Cut {
		_, _ = fmt.Fprintf(table, "cut\t%s\tport %d\tconnected now, and not let in by the spec\n", c.From, c.Port)
	}
	for _, c := range p.Checks {
		answers := "answers"
		if !c.Answers {
			answers = "does not answer, and is not watched"
		}
		_, _ = fmt.Fprintf(table, "check\t%s\t%s\t%s\n", c.Address, c.Name, answers)
	}
	return table.Flush()
}

// printOutcomeOf prints what came of it.
func (a *app) printOutcomeOf(output string, p *nftablesPlan) error {
	if output == "json" {
		return a.printJSON(p)
	}
	_, err := fmt.Fprintln(a.stdout, p.Outcome)
	return err
}
