package pki

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// Change tells [Store.Apply] what to do in addition to issuing missing certificates.
type Change struct {
	Renewal Renewal
	Files   []durable.File // files without a key, by their path in the store; Apply sets their modes
	DryRun  bool           // find out what there is to do, but do nothing
}

// Result lists what a run did to a store, or would do.
type Result struct {
	SchemaVersion int    `json:"schema_version"`
	Dir           string `json:"dir"`
	Cluster       string `json:"cluster"`
	DryRun        bool   `json:"dry_run"`
	Steps         []Step `json:"steps"`
	// Next lists what the user must do afterwards, in order.
	Next []string `json:"next,omitempty"`
	// Faults say what was due and could not be done, though the rest was.
	Faults []string `json:"faults,omitempty"`
	// NextDue is the certificate that is due first after a renewal.
	NextDue *DueDate `json:"next_due,omitempty"`

	moves []move
}

// Count returns the number of steps with one of the actions.
func (r Result) Count(actions ...Action) int {
	n := 0
	for _, s := range r.Steps {
		if slices.Contains(actions, s.Action) {
			n++
		}
	}
	return n
}

// IsIdle reports whether there was nothing to do, and is nothing left to do.
func (r Result) IsIdle() bool {
	return r.Count(ActionKeep) == len(r.Steps) && len(r.Next) == 0 && len(r.Faults) == 0
}

// UnfinishedError reports a run that stopped half-way. The same run continues from there.
type UnfinishedError struct{ Err error }

func (e *UnfinishedError) Error() string { return e.Err.Error() }

func (e *UnfinishedError) Unwrap() error { return e.Err }

// Apply makes the store match the spec: first the certificates, then the files of the change. An
// [UnfinishedError] means that it had written something before it failed.
func (s *Store) Apply(ctx context.Context, c *cluster.Cluster, change Change, config IssueConfig) (Result, error) {
	result := Result{SchemaVersion: 1, Dir: s.Dir, Cluster: c.Name, DryRun: change.DryRun, Steps: []Step{}}
	plan := NewPlan(c)
	if err := plan.Check(change.Files); err != nil {
		return result, err
	}
	survey, err := s.Survey(ctx, plan, config.Now, change.Renewal)
	if err != nil {
		return result, err
	}
	result.Steps = append(result.Steps, survey.Steps...)
	result.moves = survey.findMoves(c)
	for _, fault := range survey.Faults {
		result.Faults = append(result.Faults, fault.Error())
	}
	var differ []durable.File
	for _, f := range change.Files {
		step := Step{Action: ActionKeep, Name: path.Base(f.Name), Path: f.Name}
		exists, equal, err := s.FileState(f.Name, f.Data)
		switch {
		case err != nil:
			return result, err
		case exists && !equal:
			step.Action = ActionUpdate
		case !exists:
			step.Action = ActionWrite
		}
		if !equal {
			differ = append(differ, f)
		}
		result.Steps = append(result.Steps, step)
	}
	if change.DryRun {
		return result, nil
	}
	if err := s.Issue(ctx, survey, c.YAML, config); err != nil {
		return result, &UnfinishedError{err}
	}
	for _, f := range differ {
		file := durable.File{Name: path.Base(f.Name), Mode: 0o644, Data: f.Data}
		if err := s.WriteFile(path.Dir(f.Name), file, ownerOf(f.Name, config.Owner)); err != nil {
			return result, &UnfinishedError{err}
		}
	}
	return result, nil
}

// ownerOf returns the owner that a file of the store gets with --owner. The files of nodes and clients are given
// away. The others stay the operator's: beside those of Kubernetes are the keys of its encryption.
func ownerOf(name string, given *durable.Owner) *durable.Owner {
	if top, _, _ := strings.Cut(name, "/"); top == nodesFolder || top == clientsFolder {
		return given
	}
	return nil
}

// AddedMembers returns the names of new members that are not marked as joining, in a store that has
// other members: etcd must be told that it joins a cluster instead of starting a new one. A member
// is new if the ledger does not have it.
func (s *Store) AddedMembers(c *cluster.Cluster) ([]string, error) {
	entries, err := ReadLedger(s.Dir)
	if err != nil {
		return nil, err
	}
	known := map[LeafID]bool{}
	for _, e := range entries {
		known[e.holder().leaf] = true
	}
	isKnown := func(m cluster.Member) bool { return known[LeafID{Member: m.Name, Role: RoleServer}] }
	if !slices.ContainsFunc(c.Etcd.Members, isKnown) {
		return nil, nil
	}
	var added []string
	for _, m := range c.Etcd.Members {
		if !isKnown(m) && !m.Joining {
			added = append(added, m.Name)
		}
	}
	return added, nil
}
