package rbac

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/layout"
	"github.com/etcdsec/etcdsec/internal/legible"
)

// Report holds the findings of apply and verify. Its JSON fields are only ever added to.
type Report struct {
	SchemaVersion int      `json:"schema_version"`
	Cluster       string   `json:"cluster"`
	Members       []Member `json:"members"`
	Enabled       bool     `json:"enabled"`
	Changes       []string `json:"changes"` // that bring the cluster to the plan
	Extra         []string `json:"extra"`   // what the plan does not name
	Checks        []Check  `json:"checks"`
}

// Report compares a cluster with the plan: what Apply would change, and what it would keep.
func (p Plan) Report(s State) Report {
	changes := changeTexts(p.Changes(s))
	if !s.Enabled {
		changes = append(changes, enable().Text)
	}
	return Report{
		SchemaVersion: 1, Cluster: p.Cluster, Members: s.Members, Enabled: s.Enabled,
		Changes: changes, Extra: p.Extra(s), Checks: []Check{},
	}
}

// Verdict summarizes a report: Unknown if one check could not be made, Denied if something is not as
// the plan says, and Allowed otherwise.
func (r Report) Verdict() Verdict {
	switch {
	case slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Measured == Unknown }):
		return Unknown
	case slices.ContainsFunc(r.Checks, func(c Check) bool { return !c.OK() }), len(r.Changes)+len(r.Extra) > 0:
		return Denied
	default:
		return Allowed
	}
}

// WriteText writes the report for people.
func (r Report) WriteText(w io.Writer) error {
	text := &textWriter{w: w}
	for _, m := range r.Members {
		text.printf("%s runs etcd %s\n", m.Endpoint, m.Release)
	}
	text.list("changes:", r.Changes)
	text.list("not in the plan, and kept (to delete: etcdctl user delete NAME, etcdctl role delete NAME):", r.Extra)
	var wrong []string
	for _, c := range r.Checks {
		if !c.OK() {
			wrong = append(wrong, fmt.Sprintf("%s at %s: %s", c.Client, c.Endpoint, c.difference()))
		}
	}
	text.list("not as planned:", wrong)
	state := "disabled"
	if r.Enabled {
		state = "enabled"
	}
	text.printf("RBAC is %s", state)
	if len(r.Checks) > 0 {
		text.printf("; %d of %d checks went as planned", len(r.Checks)-len(wrong), len(r.Checks))
	}
	text.printf("\n")
	return text.err
}

// difference tells what a check measured in place of what was planned.
func (c Check) difference() string {
	text := fmt.Sprintf("%s was %s, and the plan says %s", c.Request, c.Measured, c.Planned)
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	return text
}

// Disabling lists the changes of disable. Its JSON fields are only ever added to.
type Disabling struct {
	SchemaVersion int      `json:"schema_version"`
	Cluster       string   `json:"cluster"`
	Changes       []string `json:"changes"`
}

// Disabling lists what Disable changes in a cluster.
func (p Plan) Disabling(s State, remove bool) Disabling {
	changes := []string{}
	if s.Enabled {
		changes = append(changes, disable().Text)
	}
	if remove {
		changes = append(changes, changeTexts(p.Removal(s))...)
	}
	return Disabling{SchemaVersion: 1, Cluster: p.Cluster, Changes: changes}
}

// WriteText writes one change on each line.
func (d Disabling) WriteText(w io.Writer) error {
	text := &textWriter{w: w}
	if len(d.Changes) == 0 {
		text.printf("RBAC is disabled already\n")
	}
	for _, c := range d.Changes {
		text.printf("%s\n", c)
	}
	return text.err
}

// WriteText writes the users with what they may do, and the consequences.
func (p Plan) WriteText(w io.Writer) error {
	text := &textWriter{w: w}
	text.printf("etcd RBAC of %s, by the rules of etcd %s\n\n", p.Cluster, p.Version)
	table := layout.NewTable(w, "USER", "ROLE", "MAY")
	for _, user := range p.Users {
		if len(user.Roles) == 0 {
			table.Row(user.Name, "-", "nothing")
		}
		for _, name := range user.Roles {
			role, _ := p.Role(name)
			table.Row(user.Name, name, role.describe())
		}
	}
	if err := errors.Join(text.err, table.Flush()); err != nil {
		return err
	}
	text.printf("\n")
	for _, c := range p.Consequences {
		text.printf("- %s\n", c)
	}
	return text.err
}

// describe tells what a role may do.
func (r Role) describe() string {
	if r.Name == RootRole {
		return "everything"
	}
	var all []string
	for _, p := range r.Permissions {
		all = append(all, p.String())
	}
	return strings.Join(all, ", ")
}

// changeTexts returns the sentences of changes, never nil.
func changeTexts(changes []Change) []string {
	texts := []string{}
	for _, c := range changes {
		texts = append(texts, c.Text)
	}
	return texts
}

// textWriter remembers its first error.
type textWriter struct {
	w   io.Writer
	err error
}

func (t *textWriter) printf(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}

// list writes a heading and its lines; nothing if there are no lines.
func (t *textWriter) list(heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	t.printf("%s\n", heading)
	for _, line := range lines {
		t.printf("  %s\n", legible.Line(line))
	}
}

// TakesCompaction reports whether Apply would end the right of API servers to compact etcd.
func (p Plan) TakesCompaction(s State) bool {
	if p.Compaction != cluster.CompactionByEtcd {
		return false
	}
	return !s.Enabled || slices.ContainsFunc(s.Users, func(u User) bool {
		planned, ok := p.User(u.Name)
		return ok && planned.Client == cluster.RoleKubernetes && slices.Contains(u.Roles, RootRole)
	})
}

// Survey reads the State of a cluster and checks that the plan applies to it. The error joins a
// *VersionError for each member with other rules.
func (l *Live) Survey(ctx context.Context, p Plan) (State, error) {
	s, err := l.State(ctx)
	if err != nil {
		return s, err
	}
	return s, p.CheckVersions(s.Members)
}
