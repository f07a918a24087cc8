package guard

import (
	"context"
	"slices"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// Plan lists the changes for a host and their outcome. It is its own JSON.
type Plan struct {
	SchemaVersion int                   `json:"schema_version"`
	HostName      string                `json:"host"`
	Member        bool                  `json:"member"`
	Changes       []policies.Difference `json:"changes"`
	Cut           []Cut                 `json:"cut"`
	Checks        []Check               `json:"checks"`
	Outcome       Outcome               `json:"outcome"`

	Host  Host         `json:"-"`
	Rules *nft.Ruleset `json:"-"` // the rules to load

	live   *nft.Ruleset // the tables of Rules, as they are loaded
	probes []Probe      // those that answered
}

// Outcome is the result of a plan.
type Outcome string

// The outcomes.
const (
	PlanUnchanged Outcome = "unchanged" // the rules are there
	PlanOpen      Outcome = "planned"
	PlanKept      Outcome = "kept"
	PlanUndone    Outcome = "undone"
)

// Cut is a connection that the new rules would cut off.
type Cut struct {
	From string `json:"from"` // address:port
	Port uint16 `json:"port"`
}

// Check is a probe, and whether it answered before the change.
type Check struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Answers bool   `json:"answers"`
	Detail  string `json:"detail,omitempty"` // why it did not answer
}

// NewPlan compares the loaded rules with the intent's rules for a host. It changes nothing. If
// there are changes, it also lists the connections that they would cut off, and probes everything
// that must answer after the change.
func NewPlan(ctx context.Context, i *policies.Intent, host Host, probes []Probe, n Nft) (*Plan, error) {
	p := &Plan{
		SchemaVersion: 1, HostName: host.Name, Member: host.Member, Outcome: PlanOpen, Host: host, Rules: host.Rules(i),
		Changes: []policies.Difference{}, Cut: []Cut{}, Checks: []Check{},
	}
	var err error
	if p.live, err = n.Tables(ctx, p.Rules); err != nil {
		return nil, err
	}
	if err := n.Check(ctx, p.Rules.Text()); err != nil {
		return nil, err
	}
	if p.Changes = append(p.Changes, policies.RulesDrift("", p.Rules, p.live)...); len(p.Changes) == 0 {
		p.Outcome = PlanUnchanged
		return p, nil
	}
	if host.Member {
		connected, err := Connected(i.Ports.All())
		if err != nil {
			return nil, err
		}
		p.Cut = append(p.Cut, findCuts(i, host, connected)...)
	}
	for n, err := range Ask(ctx, probes) {
		c := Check{Name: probes[n].Name, Address: probes[n].Address, Answers: err == nil}
		if err != nil {
			c.Detail = err.Error()
		} else {
			p.probes = append(p.probes, probes[n])
		}
		p.Checks = append(p.Checks, c)
	}
	return p, nil
}

// findCuts lists the connections that the intent does not allow.
func findCuts(i *policies.Intent, host Host, connected []Connection) []Cut {
	var cut []Cut
	for _, c := range connected {
		if !i.Wanted(c.From.Addr(), c.To.Port()) && !slices.Contains(host.Addrs, c.From.Addr()) {
			cut = append(cut, Cut{From: c.From.String(), Port: c.To.Port()})
		}
	}
	return cut
}
