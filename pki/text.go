package pki

import (
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/internal/layout"
	"github.com/etcdsec/etcdsec/internal/legible"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// WriteText writes the steps as a table, and what the user must do next.
func (r Result) WriteText(out io.Writer) error {
	table := layout.NewTable(out)
	for _, s := range r.Steps {
		table.Row(s.Action, legible.Line(path.Join(s.Path, s.File)), legible.Line(s.Detail))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return writeNext(out, r.Next)
}

// Summary tells in one line what the run did: "cluster prod: issued 11 certificates and wrote 3 files in
// ./store, kept 2".
func (r Result) Summary() string {
	var did, would []string
	for _, c := range []struct {
		n                int
		done, verb, what string
	}{
		{r.Count(ActionIssue, ActionExtend), "issued", "issue", "certificate"},
		{r.Count(ActionRenew), "renewed", "renew", "certificate"},
		{r.Count(ActionSign), "signed", "sign", "revocation list"},
		{r.Count(ActionProtect), "changed the storage of", "change the storage of", "root key"},
		{r.Count(ActionWrite, ActionUpdate), "wrote", "write", "file"},
	} {
		if c.n > 0 {
			did, would = append(did, c.done+" "+countOf(c.n, c.what)), append(would, c.verb+" "+countOf(c.n, c.what))
		}
	}
	rest := fmt.Sprintf("kept %d", r.Count(ActionKeep))
	if due := r.Count(ActionDue); due > 0 {
		rest += fmt.Sprintf(", %d due", due)
	}
	if r.NextDue != nil {
		rest += fmt.Sprintf("; %s is due next, on %s", r.NextDue.Name, r.NextDue.At.Format(time.DateOnly))
	}
	switch {
	case len(did) == 0 && r.DryRun:
		return fmt.Sprintf("dry run: cluster %s: would change nothing in %s, %s", r.Cluster, r.Dir, rest)
	case len(did) == 0:
		return fmt.Sprintf("cluster %s: changed nothing in %s, %s", r.Cluster, r.Dir, rest)
	case r.DryRun:
		return fmt.Sprintf("dry run: cluster %s: would %s in %s, %s", r.Cluster, enumerate(would), r.Dir, rest)
	}
	return fmt.Sprintf("cluster %s: %s in %s, %s", r.Cluster, enumerate(did), r.Dir, rest)
}

// countOf returns a number with what it counts.
func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// enumerate joins words: "a", "a and b", "a, b and c".
func enumerate(words []string) string {
	last := len(words) - 1
	if last <= 0 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// WriteText writes what the ledger lacked as a table, and what the user must do next.
func (r ReconcileResult) WriteText(out io.Writer) error {
	table := layout.NewTable(out)
	for _, e := range r.Recorded {
		table.Row(e.Event, e.Name, e.Serial, e.Path)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return writeNext(out, r.Next)
}

// Summary tells in one line what the run did.
func (r ReconcileResult) Summary() string {
	did := "recorded"
	if r.DryRun {
		did = "dry run: would record"
	}
	return fmt.Sprintf("cluster %s: %s %d lines in the ledger of %s", r.Cluster, did, len(r.Recorded), r.Dir)
}

// WriteText writes the certificates as a table, and what the user must do next.
func (r RevocationResult) WriteText(out io.Writer) error {
	table := layout.NewTable(out)
	for _, e := range r.Revoked {
		table.Row("revoke", e.Name, e.Serial, "valid until "+e.NotAfter.Format(time.DateOnly), e.Reason)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return writeNext(out, r.Next)
}

// Summary tells in one line what the run did.
func (r RevocationResult) Summary() string {
	prefix := ""
	if r.DryRun {
		prefix = "dry run: "
	}
	if len(r.Revoked) == 0 {
		return fmt.Sprintf("%scluster %s: already revoked", prefix, r.Cluster)
	}
	return fmt.Sprintf("%scluster %s: revoked %d certificates", prefix, r.Cluster, len(r.Revoked))
}

// writeNext writes what the user must do next.
func writeNext(out io.Writer, next []string) error {
	var b strings.Builder
	for i, s := range next {
		if i == 0 {
			b.WriteString("\nNext:\n")
		}
		fmt.Fprintf(&b, "%3d. %s\n", i+1, s)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// WriteText writes the place of a finding, its problem, and its fix line by line.
func (f Finding) WriteText(out io.Writer, place string) error {
	_, err := fmt.Fprintf(out, "%s%s\n  fix: %s\n", place, legible.Line(f.Problem), strings.ReplaceAll(f.Fix.String(), "\n", "\n       "))
	return err
}

// VerifyResult lists the faults of a store.
type VerifyResult struct {
	SchemaVersion int       `json:"schema_version"`
	Dir           string    `json:"dir"`
	Cluster       string    `json:"cluster"`
	Findings      []Finding `json:"findings"` // empty if there are none
}

// WriteText writes the findings, each with the path of its file.
func (r VerifyResult) WriteText(out io.Writer) error {
	for _, f := range r.Findings {
		lead := legible.Line(filepath.Join(r.Dir, f.Path)) + "\n  "
		if f.Note {
			lead += "note: "
		}
		if err := f.WriteText(out, lead); err != nil {
			return err
		}
	}
	return nil
}

// Summary tells in one line what was found.
func (r VerifyResult) Summary() string {
	summary := fmt.Sprintf("cluster %s in %s: %d findings", r.Cluster, r.Dir, r.Faults())
	if notes := len(r.Findings) - r.Faults(); notes > 0 {
		summary += fmt.Sprintf(", %d notes: findings when the store is a day old", notes)
	}
	return summary
}

// Faults returns the number of findings that are not notes.
func (r VerifyResult) Faults() (n int) {
	for _, f := range r.Findings {
		if !f.Note {
			n++
		}
	}
	return n
}

// ImportResult tells what a store adopted, or would adopt.
type ImportResult struct {
	SchemaVersion int       `json:"schema_version"`
	Dir           string    `json:"dir"`
	Cluster       string    `json:"cluster"`
	Layout        string    `json:"layout"`
	DryRun        bool      `json:"dry_run"`
	Spec          string    `json:"spec"`
	Trust         []Trust   `json:"trust"`
	Weak          []Finding `json:"weak"`
	members       int
}

// WriteText writes which certificates each port lets in, the spec of a dry run, and the weak spots.
func (r ImportResult) WriteText(out io.Writer) error {
	for _, t := range r.Trust {
		trusts, let := fmt.Sprintf("%q", t.CA), "lets"
		for _, ca := range t.Also {
			trusts, let = trusts+fmt.Sprintf(" and %q", ca), "let"
		}
		if _, err := fmt.Fprintf(out, "%s port  trusts %s, which %s in %s\n", t.Port, trusts, let, legible.Line(strings.Join(t.LetsIn, ", "))); err != nil {
			return err
		}
	}
	if r.DryRun {
		if _, err := fmt.Fprintf(out, "\n%s\n", r.Spec); err != nil {
			return err
		}
	}
	for _, weak := range r.Weak {
		if err := weak.WriteText(out, legible.Line(weak.Path)+": "); err != nil {
			return err
		}
	}
	return nil
}

// Summary tells in one line what the run did, and what to do next.
func (r ImportResult) Summary() string {
	if r.DryRun {
		return fmt.Sprintf("dry run: would adopt %d members' PKI in %s; %d weaknesses", r.members, r.Dir, len(r.Weak))
	}
	return fmt.Sprintf("adopted the PKI of %d members, layout %s, in %s; read %s, then: etcdsec pki verify %s", r.members, r.Layout, r.Dir, filepath.Join(r.Dir, SpecName), shellword.Path(r.Dir))
}

// WriteText writes the path of each file.
func (r InstallResult) WriteText(out io.Writer) error {
	for _, f := range r.Files {
		if _, err := fmt.Fprintln(out, filepath.Join(r.Target, filepath.FromSlash(f))); err != nil {
			return err
		}
	}
	return nil
}

// Summary tells in one line what the run did.
func (r InstallResult) Summary() string {
	switch {
	case !r.Changed:
		return fmt.Sprintf("%s already has all of it", r.Target)
	case r.DryRun:
		return fmt.Sprintf("dry run: all checks passed; would install %d files in %s", len(r.Files), r.Target)
	case r.newTrust:
		return fmt.Sprintf("installed %d files in %s; restart the programs that read its roots", len(r.Files), r.Target)
	}
	return fmt.Sprintf("installed %d files in %s; restart nothing", len(r.Files), r.Target)
}
