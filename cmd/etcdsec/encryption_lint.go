package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/manifests/encryption/lint"
)

// encryptionLintFlags hold the flags as the operator wrote them.
type encryptionLintFlags struct {
	phase     string
	crds      []string
	writes    int64
	fix       bool
	selection checkSelection
	waivers   string
	failOn    string
	unknown   string // what results do that could not be told
	outputs   auditOutputs
}

func newEncryptionLintCommand(a *app) *cobra.Command {
	var flags encryptionLintFlags
	cmd := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Find what an EncryptionConfiguration gets wrong",
		Long: `Check EncryptionConfigurations: does kube-apiserver load them, and do they have faults that it
loads without an error? Such faults are plaintext that is still written, resources that do not
exist, keys that can be guessed or mixed up, and providers without authentication. "-" is standard
input.

The file does not tell everything. --phase tells what is stored: with "encrypted" nothing is in
plaintext, and identity must be gone; with "enabling" something is, and identity must be last; with
"disabling" identity must be first. Without it, the spec of the store that FILE is in tells the phase.
--crd names custom resources that exist; without it they are
unknown. --writes is the number of values that an aesgcm key has encrypted.

--fix writes a corrected file next to FILE, as NAME.fixed.yaml with mode 0600, where only one
correction is possible: a misspelt resource, identity before a provider that encrypts, a key that is
there twice. FILE itself never changes. Comments are not kept.

Reads the files. Writes the report, to stdout and with -o FORMAT=FILE to files, and with --fix the
corrected files. Uses no network. Keys are never printed, whatever is wrong with them.

Exit status: 0 no findings, 1 a check could not tell, 2 bad command line, 3 findings of the
severity of --fail-on. "etcdsec audit list --checks 'encryption-*'" lists the checks.`,
		Example: `  etcdsec encryption lint /etc/kubernetes/encryption/encryption-config.yaml
  etcdsec encryption lint --phase encrypted --crd '*.example.com' encryption-config.yaml
  etcdsec encryption lint --fix encryption-config.yaml
  etcdsec encryption lint a.yaml b.yaml -o text -o sarif=encryption.sarif
  ssh root@10.0.0.11 cat /etc/kubernetes/encryption/encryption-config.yaml |
    etcdsec encryption lint -`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error {
			return flags.run(a, given)
		},
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *encryptionLintFlags) addFlags(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringVar(&f.phase, "phase", "", "what is stored, as a `phase`: encrypted, enabling or disabling (default: of the spec, for a file in a store)")
	completeWords(cmd, "phase", "encrypted", "enabling", "disabling")
	set.StringSliceVar(&f.crds, "crd", nil, "custom resources that exist, as a `glob` such as *.example.com; a list, may be repeated")
	set.Int64Var(&f.writes, "writes", -1, "`number` of values that an aesgcm key has encrypted on all API servers (default: not known)")
	set.BoolVar(&f.fix, "fix", false, "write a corrected file next to each FILE")
	f.selection.addFlags(cmd)
	waiversFlag(cmd, &f.waivers)
	// The provider that is made by default has a finding of low severity, which is true of it.
	failOnFlag(cmd, &f.failOn, audit.Medium)
	unknownFlag(cmd, &f.unknown)
	f.outputs.addFlags(cmd)
}

func (f *encryptionLintFlags) run(a *app, paths []string) error {
	if f.phase != "" && !slices.Contains(cluster.Phases(), cluster.Phase(f.phase)) {
		return usageError(fmt.Errorf("--phase %q: want encrypted, enabling or disabling", f.phase), "")
	}
	if f.fix && slices.Contains(paths, input.Stdin) {
		return usageError(errors.New("--fix cannot correct standard input: give the path of a file"), "")
	}
	failOn, err := parseFailOn(f.failOn)
	if err != nil {
		return err
	}
	unknownFails, err := parseUnknown(f.unknown)
	if err != nil {
		return err
	}
	checks, err := selectChecks(f.selection, lint.Checks())
	if err != nil {
		return err
	}
	started := a.now()
	rules, err := a.loadWaivers(f.waivers, started)
	if err != nil {
		return err
	}
	var subjects []*lint.Subject
	var faults []error
	for _, path := range paths {
		s := lint.Open(a.files, path)
		s.Host = observerName()
		s.Phase, s.CRDs, s.Writes = cluster.Phase(f.phase), f.crds, f.writes
		if s.Phase == "" {
			s.Phase = a.storedPhase(path)
		}
		subjects = append(subjects, s)
		// What is no file has no verdict. One that may not be read has: unknown.
		if _, other := errors.AsType[*input.KindError](s.Unread); other || errors.Is(s.Unread, fs.ErrNotExist) {
			faults = append(faults, s.Unread)
		}
	}
	if len(faults) > 0 {
		return usageError(errors.Join(faults...), "")
	}
	result := lint.Run(checks, subjects)
	result.Tool = audit.Tool{Name: audit.ToolName, Version: buildVersion()}
	result.StartedAt, result.FinishedAt = started.UTC(), a.now().UTC()
	a.applyWaivers(&result, rules, started)
	if err := a.writeAuditReport(f.outputs, result); err != nil {
		return err
	}
	if f.fix {
		if err := a.fixEncryption(subjects); err != nil {
			return err
		}
	}
	return a.auditStatus(result, failOn, unknownFails)
}

// fixEncryption writes the corrected files.
func (a *app) fixEncryption(subjects []*lint.Subject) error {
	var faults []error
	for _, s := range subjects {
		path, changes, err := lint.WriteFixed(s)
		switch {
		case err != nil:
			faults = append(faults, err)
		case len(changes) == 0:
			a.narrate("%s: --fix changed nothing: no fault has exactly one correction", s.Path)
		default:
			a.narrate("wrote %s:", path)
			for _, c := range changes {
				a.narrate("  %s", c)
			}
		}
	}
	if err := errors.Join(faults...); err != nil {
		return failure(err, "")
	}
	return nil
}
