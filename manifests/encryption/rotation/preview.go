package rotation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/layout"
	"github.com/etcdsec/etcdsec/internal/legible"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// Preview tells what Run would do: begin a rotation, continue one, or nothing. It is printed as JSON;
// fields are only ever added.
type Preview struct {
	SchemaVersion int            `json:"schema_version"`
	From          []audit.Writer `json:"from"`
	To            audit.Writer   `json:"to"`     // without the name of the key, which is made by the run that keeps it
	Counts        []Count        `json:"counts"` // of the resources that are rewritten
	Servers       []ServerState  `json:"servers"`
}

// Preview returns what a new rotation would do, with a census of the stored objects. It changes
// nothing. due is false if the last rotation is too recent.
func (r *Rotation) Preview(ctx context.Context, request Request) (p Preview, due bool, err error) {
	plan, due, err := r.makePlan(request)
	if err != nil || !due {
		return Preview{}, due, err
	}
	counts, err := r.Census(ctx, &plan)
	if err != nil {
		return Preview{}, true, fmt.Errorf("taking the census: %w", err)
	}
	p = Preview{SchemaVersion: 1, From: plan.From, To: plan.To, Counts: counts, Servers: r.Loaded(ctx, &plan)}
	p.To.Key = ""
	return p, true, nil
}

// WriteText writes a preview for people.
func (p Preview) WriteText(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "from %s\nto a new %s\n\n", describeAll(p.From), encryption.Describe(p.To)); err != nil {
		return err
	}
	table := layout.NewTable(w, "RESOURCE", "ENCRYPTED BY", "OBJECTS")
	for _, count := range p.Counts {
		table.Row(legible.Line(count.Resource), legible.Line(encryption.Describe(count.Writer)), count.Objects)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return writeServers(w, p.Servers)
}

// WriteText writes the state for people.
func (s State) WriteText(w io.Writer) error {
	direction := ""
	if s.Aborting {
		direction = ", going back"
	}
	_, err := fmt.Fprintf(w, "from %s to %s\nin force is %q%s\nnext: %s\n\n", describeAll(s.Plan.From), encryption.Describe(s.Plan.To), s.Stage, direction, s.Next)
	if err != nil {
		return err
	}
	return writeServers(w, s.Servers)
}

func writeServers(w io.Writer, servers []ServerState) error {
	table := layout.NewTable(w, "API SERVER", "HAS LOADED")
	for _, s := range servers {
		loaded := s.Hash
		switch {
		case s.Fault != "":
			loaded = "unknown: " + s.Fault
		case s.Stage != "":
			loaded = string(s.Stage)
		case loaded == "":
			loaded = "no encryption configuration"
		}
		table.Row(legible.Line(s.Name), legible.Line(loaded))
	}
	return table.Flush()
}

// ErrUnasked means that the state of an API server is unknown.
var ErrUnasked = errors.New("not every API server can be asked")

// CheckAsked returns ErrUnasked if an API server did not say what it has loaded.
func CheckAsked(servers []ServerState) error {
	if slices.ContainsFunc(servers, func(s ServerState) bool { return s.Fault != "" }) {
		return ErrUnasked
	}
	return nil
}

func describeAll(writers []audit.Writer) string {
	names := make([]string, len(writers))
	for i, w := range writers {
		names[i] = encryption.Describe(w)
	}
	return strings.Join(names, ", ")
}
