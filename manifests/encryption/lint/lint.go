// Package lint judges encryption configurations that kube-apiserver loads: what they leave in
// plaintext, what can be guessed, moved or no longer told apart. A check is a pure function of
// what was read; nothing that it says has a key in it.
package lint

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// Subject is one file, and what is known of the cluster that uses it.
type Subject struct {
	Path          string
	Configuration *encryption.Configuration // nil if there is none
	Unread        error                     // why the file could not be read; nil if it was
	Refused       error                     // why kube-apiserver refuses it; nil if it does not
	Mode          fs.FileMode               // the file's permissions, if HasMode
	HasMode       bool

	Host string // the name of the host that has the file; empty if nobody said

	Phase  cluster.Phase // empty if nobody said
	CRDs   []string      // globs over resources that are custom ones, such as *.example.com
	Writes int64         // how many values an aesgcm key has encrypted; negative if nobody said
}

// Read makes the subject of a file's bytes. The API server is taken to reload it, which asks for more.
func Read(path string, data []byte) *Subject {
	s := &Subject{Path: path, Writes: -1}
	s.Configuration, s.Refused = encryption.Parse(path, data, encryption.Server{KMSv1: true, Reload: true})
	return s
}

// Check is one question that is asked of a file.
type Check = audit.CheckOf[*Subject]

// Identity implements audit.Subject.
func (s *Subject) Identity() (address string, kind audit.Kind) { return s.Path, audit.Encryption }

// Place implements audit.Subject.
func (s *Subject) Place() audit.Place { return audit.Place{FilePath: s.Path, OnHost: s.Host} }

// Checks returns all checks, in the order in which reports list them. Where a file is not loaded,
// refused says why, and most of the others have nothing to look at.
func Checks() []Check {
	checks := []Check{
		refused(), kmsV1(), identityFirst(), identityMissing(), identityLingering(), secretsUncovered(), noSuchResource(),
		maskedRule(), ignoredDocument(), weakKey(), shortKey(), sharedSecret(), duplicateKeyName(), keyNameColon(), manyKeys(),
		aescbc(), aesgcmBudget(), relocatable(), kmsSocket(), fileMode(), legacyKind(),
	}
	for i, c := range checks {
		if c.ID != refusedID && c.ID != fileModeID {
			checks[i].Run = whereLoaded(c.Run)
		}
	}
	return checks
}

// Run judges the files. Results are in the order of the files, then of the checks. The caller
// adds the tool and the times.
func Run(checks []Check, subjects []*Subject) audit.Report { return audit.RunOn(checks, subjects) }

// refusedID names the check that tells why a file is not loaded.
const refusedID = "encryption-refused"

// whereLoaded skips a file that is not loaded.
func whereLoaded(run func(*Subject) audit.Outcome) func(*Subject) audit.Outcome {
	return func(s *Subject) audit.Outcome {
		if s.Configuration == nil {
			return audit.Skipped("the file is not loaded, see " + refusedID)
		}
		return run(s)
	}
}

// place is one provider, or one key of one, of a file.
type place struct {
	rule, provider, key int // key is -1 for the provider
	field               string
	p                   encryption.Provider
}

// listPlaces returns the providers in the order of the file, or with keys set, their keys.
func (s *Subject) listPlaces(keys bool) []place {
	var list []place
	for i, rule := range s.Configuration.Rules {
		for j, p := range rule.Providers {
			field := fmt.Sprintf("resources[%d].providers[%d]", i, j)
			if !keys {
				list = append(list, place{i, j, -1, field, p})
				continue
			}
			for k := range p.Keys {
				list = append(list, place{i, j, k, fmt.Sprintf("%s.%s.keys[%d]", field, p.Type, k), p})
			}
		}
	}
	return list
}

// describeKey names the key of a place.
func (p place) describeKey() string {
	return fmt.Sprintf("%s key %s", p.p.Type, encryption.ShowName(p.p.Keys[p.key].Name))
}

func (p place) secret() encryption.Key { return p.p.Keys[p.key] }

// describeField names a field, with its line if that is known.
func (s *Subject) describeField(field string) string {
	if line := s.Configuration.Line(field); line > 0 {
		return fmt.Sprintf("line %d, %s", line, field)
	}
	return field
}

// findings collects the faults that a check finds.
type findings []audit.Finding

func (f *findings) add(code, format string, a ...any) {
	*f = append(*f, audit.Finding{Code: code, Text: fmt.Sprintf(format, a...)})
}

func (f findings) outcome(evidence string) audit.Outcome {
	if len(f) == 0 {
		return audit.Passed(evidence)
	}
	return audit.Failed(f...)
}

// faultTexts returns what is wrong with a file, one fault a text.
func faultTexts(err error) []string {
	var texts []string
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			texts = append(texts, e.Error())
		}
		return texts
	}
	return []string{err.Error()}
}

// joinNames returns the names of resources as they may be printed.
func joinNames(resources []string) string {
	quoted := make([]string, 0, len(resources))
	for _, r := range resources {
		if shown := encryption.ShowName(r); r == "" || shown != strconv.Quote(r) {
			r = shown // a key in the wrong place
		}
		quoted = append(quoted, r)
	}
	return strings.Join(quoted, ", ")
}

func references(more ...string) []string {
	return append([]string{"CIS Kubernetes Benchmark v1.12 1.2.27", "CIS Kubernetes Benchmark v1.12 1.2.28", "NIST 800-53 SC-28", "NIST 800-53 SC-28(1)"}, more...)
}
