// Package lint judges encryption configurations that kube-apiserver loads. It finds what they leave
// in plaintext, and what can be guessed, moved or confused. A check is a pure function of what was
// read; no finding contains a key.
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

// Subject is one file, and what is known about the cluster that uses it.
type Subject struct {
	Path          string
	Configuration *encryption.Configuration // nil if there is none
	Unread        error                     // why the file could not be read; nil if it was
	Refused       error                     // why kube-apiserver refuses it; nil if it does not
	Mode          fs.FileMode               // the file's permissions, if HasMode
	HasMode       bool

	Host string // the name of the host that has the file; empty if unknown

	Phase  cluster.Phase // empty if unknown
	CRDs   []string      // globs over resources that are custom ones, such as *.example.com
	Writes int64         // how many values an aesgcm key has encrypted; negative if unknown
}

// Read returns the subject of a file's bytes. It assumes an API server that reloads the file, which
// has stricter rules.
func Read(path string, data []byte) *Subject {
	s := &Subject{Path: path, Writes: -1}
	s.Configuration, s.Refused = encryption.Parse(path, data, encryption.Server{KMSv1: true, Reload: true})
	return s
}

// Check is one check of a file.
type Check = audit.CheckOf[*Subject]

// Identity implements audit.Subject.
func (s *Subject) Identity() (address string, kind audit.Kind) { return s.Path, audit.Encryption }

// Place implements audit.Subject.
func (s *Subject) Place() audit.Place { return audit.Place{FilePath: s.Path, OnHost: s.Host} }

// Checks returns all checks, in the order of reports. If a file is not loaded, the check refused tells
// why, and most other checks are skipped.
func Checks() []Check {
	checks := []Check{
		refused(), kmsV1(), identityFirst(), identityMissing(), identityLingering(), secretsUncovered(), noSuchResource(),
		maskedRule(), ignoredDocument(), weakKey(), shortKey(), sharedSecret(), duplicateKeyName(), keyNameColon(), manyKeys(),
		aescbc(), aesgcmBudget(), relocatable(), kmsSocket(), fileMode(), legacyKind(),
	}
	for i, c := range checks {
		if c.ID != refusedID && c.ID != fileModeID {
			checks[i].Run = skipUnloaded(c.Run)
		}
	}
	return checks
}

// Run judges the files. Results are in the order of the files, then of the checks. The caller
// adds the tool and the times.
func Run(checks []Check, subjects []*Subject) audit.Report { return audit.RunOn(checks, subjects) }

// refusedID is the ID of the check that tells why a file is not loaded.
const refusedID = "encryption-refused"

// skipUnloaded wraps a check so that it skips a file that is not loaded.
func skipUnloaded(run func(*Subject) audit.Outcome) func(*Subject) audit.Outcome {
	return func(s *Subject) audit.Outcome {
		if s.Configuration == nil {
			return audit.Skipped("the file is not loaded, see " + refusedID)
		}
		return run(s)
	}
}

// place is one provider of a file, or one key of a provider.
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

// faultTexts returns the text of each fault of a file.
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

// joinNames joins the names of resources, and hides those that may be keys.
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
