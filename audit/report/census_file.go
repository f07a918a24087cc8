package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/layout"
)

// fileText describes the file of a census on one line.
func fileText(f *audit.SnapshotFile) string {
	text := fmt.Sprintf("%s, %s of which %d are free, %s", counted(int(f.Size), "byte"), counted(int(f.Pages), "page"), f.FreePages, counted(int(f.Revisions), "revision"))
	if f.CompactRevision > 0 {
		text += fmt.Sprintf(", compacted at %d", f.CompactRevision)
	}
	if f.ClusterVersion != "" {
		text += ", of etcd " + strings.TrimSuffix(f.ClusterVersion, ".0")
	}
	switch f.Digest {
	case audit.DigestMatches:
		return text + "; its SHA-256 matches"
	case audit.DigestDiffers:
		return text + "; its SHA-256 does not match"
	default:
		return text + "; it has no SHA-256"
	}
}

// residueText writes a table of the values outside the current revision.
func residueText(w io.Writer, r *audit.Residue) error {
	table := layout.NewTable(w, "BESIDE IT", "VALUES", "WRITTEN BY")
	for _, place := range r.Places() {
		name, values := place.Name, fmt.Sprint(place.Count.Values)
		lines := residueLines(place.Count)
		if len(lines) == 0 {
			lines = []string{"-"}
		}
		for _, line := range lines {
			table.Row(name, values, line)
			name, values = "", ""
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if r.Reason != "" {
		_, err := fmt.Fprintf(w, "note: %s\n", line(r.Reason))
		return err
	}
	return nil
}

// residueLines returns a line for each writer of each resource in a place.
func residueLines(c *audit.ResidueCount) []string {
	var lines []string
	for _, resource := range c.Resources {
		for _, written := range writtenBy(resource) {
			lines = append(lines, resource.Resource+", "+written)
		}
	}
	if c.Unplaced.Values > 0 {
		unplaced := audit.ResourceCensus{Objects: c.Unplaced.Values, Plaintext: c.Unplaced.Plaintext, Writers: c.Unplaced.Writers}
		for _, written := range writtenBy(unplaced) {
			lines = append(lines, "of an unknown resource, "+written)
		}
	}
	if n := c.Unplaced.Candidates; n > 0 {
		lines = append(lines, counted(int(n), "place")+" that may be the beginning of a value")
	}
	return lines
}
