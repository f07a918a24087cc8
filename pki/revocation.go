package pki

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// Revoked is a certificate that a run revoked, or would revoke.
type Revoked struct {
	Name     string    `json:"name"`
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"not_after"`
	Reason   string    `json:"reason"`
}

// RevocationResult lists what a revocation did, or would do.
type RevocationResult struct {
	SchemaVersion int       `json:"schema_version"`
	Dir           string    `json:"dir"`
	Cluster       string    `json:"cluster"`
	DryRun        bool      `json:"dry_run"`
	Revoked       []Revoked `json:"revoked"` // none if all were revoked before
	Next          []string  `json:"next"`
}

// ApplyRevocation records a revocation in the ledger and signs the lists anew; with dryRun it only
// finds the certificates. The ledger comes first: if a run dies before it has signed the lists, the
// certificates are revoked, and the next run signs the lists. An [UnfinishedError] means that it
// failed after it had changed the ledger.
func (s *Store) ApplyRevocation(ctx context.Context, c *cluster.Cluster, r Revocation, now time.Time, dryRun bool) (RevocationResult, error) {
	result := RevocationResult{SchemaVersion: 1, Dir: s.Dir, Cluster: c.Name, DryRun: dryRun, Revoked: []Revoked{}}
	plan := NewPlan(c)
	if err := s.checkRecords(plan); err != nil {
		return result, err
	}
	entries, err := s.PlanRevocation(plan, r, now)
	if err != nil {
		return result, err
	}
	for _, e := range entries {
		result.Revoked = append(result.Revoked, Revoked{e.Name, e.Serial, e.NotAfter, e.Reason})
	}
	banned, err := s.bannedInUse(plan, entries)
	if err != nil {
		return result, err
	}
	obstacle, err := s.findListObstacle(plan, entries)
	if err != nil {
		return result, err
	}
	result.Next = slices.Concat(replaceBanned(c, s.Dir, banned), afterRevocation(c, s.Dir, obstacle))
	if dryRun {
		return result, nil
	}
	if err := s.Revoke(entries); err != nil {
		return result, err
	}
	survey, err := s.Survey(ctx, plan, now, Renewal{ListsOnly: true})
	if err == nil {
		err = s.Issue(ctx, survey, c.YAML, IssueConfig{Now: now})
	}
	if err != nil {
		return result, &UnfinishedError{fmt.Errorf("the revocation is in the ledger, but the lists are not signed: %w", err)}
	}
	return result, nil
}
