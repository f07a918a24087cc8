package guard

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/layout"
	"github.com/etcdsec/etcdsec/internal/legible"
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

// WriteText writes what the plan changes, cuts off and watches, but not its outcome.
func (p *Plan) WriteText(w io.Writer) error {
	table := layout.NewTable(w)
	table.Row("host", p.Host)
	for _, d := range p.Changes {
		table.Row("change", legible.Line(d.What), d.Kind, legible.Line(d.String()))
	}
	for _, c := range p.Cut {
		table.Row("cut", c.From, fmt.Sprintf("port %d", c.Port), "connected now, and not let in by the spec")
	}
	for _, c := range p.Checks {
		answers := "answers"
		if !c.Answers {
			answers = "does not answer, and is not watched"
		}
		table.Row("check", c.Address, c.Name, answers)
	}
	return table.Flush()
}

// A CutError means that the rules would cut off hosts that are connected now.
type CutError struct{ Cut []Cut }

func (e *CutError) Error() string { return strings.Join(e.ErrorLines(), "\n") }

// ErrorLines returns the lines of the error: one for each connection, behind two spaces.
func (e *CutError) ErrorLines() []string {
	lines := []string{"nothing was loaded, because hosts are connected that the spec does not let in:"}
	for _, c := range e.Cut {
		lines = append(lines, fmt.Sprintf("  %s at port %d", c.From, c.Port))
	}
	return lines
}

// Save writes the rules of a plan to a file, and returns its absolute path. It is for rules that are in
// force already; others are saved by [Plan.Load], once they are kept.
func (p *Plan) Save(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return path, durable.WriteFile(filepath.Dir(path), durable.File{Name: filepath.Base(path), Mode: 0o600, Data: p.Rules.Text()}, nil)
}

// FormerTable returns the name of the table that the cluster had before its name was part of the
// table's, if the plan removes it; else it returns "".
func (p *Plan) FormerTable() string {
	if _, former := policies.FormerTable(p.Rules, p.live); former {
		return policies.FormerNftablesTable
	}
	return ""
}
