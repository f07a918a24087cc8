package members

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Advisories holds the published flaws of etcd and the support of its branches, as of a day.
type Advisories struct {
	// AsOf is the day on which the table was compared with its sources: golang/vulndb (data/osv
	// and data/excluded), etcd's CHANGELOG-3.x files and the blog of etcd.io.
	AsOf       string     `json:"as_of"`
	Branches   []Branch   `json:"branches"`
	Advisories []Advisory `json:"advisories"` // the newest first
}

// Branch is a minor release: the versions from From, included, to Before, excluded.
type Branch struct {
	Name      string `json:"name"`
	From      string `json:"from"` // empty means the first version
	Before    string `json:"before"`
	EndOfLife string `json:"end_of_life"` // the first day without fixes; empty if it still gets fixes
	Newest    string `json:"newest"`      // the newest known release, if the branch still gets fixes
}

// Advisory is one published flaw, of etcd itself or of a dependency for which etcd made a release.
type Advisory struct {
	ID      string  `json:"id"`
	Scope   Scope   `json:"scope"`
	Summary string  `json:"summary"`
	Source  string  `json:"source"`
	Ranges  []Range `json:"ranges"`
}

// Scope names the clusters that an advisory affects.
type Scope string

// The scopes.
const (
	ControlPlane Scope = "control-plane" // any cluster, a Kubernetes control plane included
	RBACOnly     Scope = "rbac"          // only where etcd's authentication is on
)

func (s Scope) String() string {
	if s == RBACOnly {
		return "only where etcd's authentication is on"
	}
	return "of any cluster, a Kubernetes control plane included"
}

// Range holds the versions from Introduced, included, to Fixed, the first with the fix, or to
// Limit, the end of a branch that never got the fix. One of the two is set. The names are OSV's.
type Range struct {
	Introduced string `json:"introduced"` // empty means the first version
	Fixed      string `json:"fixed"`
	Limit      string `json:"limit"`
}

//go:embed advisories.json
var embedded string

// Known returns the advisories that were built into this release of etcdsec.
func Known() Advisories {
	known, err := ParseAdvisories([]byte(embedded))
	if err != nil {
		return Advisories{} // in which no check finds an answer; a test keeps it from happening
	}
	return known
}

// ParseAdvisories reads a table in the JSON form of the built-in one, see [Known]. An unknown key, and
// every other fault, is an error; it reports all faults at once.
func ParseAdvisories(data []byte) (Advisories, error) {
	// Of a file with none of the keys, which may hold a secret, nothing is quoted.
	var keys map[string]json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&keys); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return Advisories{}, fmt.Errorf("reading advisories: not JSON at byte %d: %w", syntax.Offset, err)
		}
		return Advisories{}, errors.New("reading advisories: want a mapping in JSON")
	}
	if keys["as_of"] == nil && keys["branches"] == nil && keys["advisories"] == nil {
		return Advisories{}, errors.New("reading advisories: none of the keys as_of, branches and advisories is in it")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var a Advisories
	if err := decoder.Decode(&a); err != nil {
		return Advisories{}, fmt.Errorf("reading advisories: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Advisories{}, errors.New("reading advisories: unexpected data after the table")
	}
	faults := a.faults()
	if len(faults) > 0 {
		return Advisories{}, errors.Join(faults...)
	}
	return a, nil
}

func (a Advisories) faults() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("advisories: "+format, args...)) }
	if !isDay(a.AsOf) {
		fault("as_of %q: want a day such as 2026-11-20", a.AsOf)
	}
	if len(a.Branches) == 0 {
		fault("branches: none")
	}
	for i, b := range a.Branches {
		if b.Name == "" {
			fault("branches[%d]: no name", i)
		}
		if reason := (Range{Introduced: b.From, Limit: b.Before}).fault(); reason != "" {
			fault("branch %q: %s", b.Name, reason)
		}
		if _, err := parseVersion(b.Newest); b.EndOfLife == "" && err != nil {
			fault("branch %q: neither end_of_life nor a version as newest", b.Name)
		}
		if b.EndOfLife != "" && !isDay(b.EndOfLife) {
			fault("branch %q: end_of_life %q: want a day such as 2026-06-01", b.Name, b.EndOfLife)
		}
	}
	var ids []string
	for i, advisory := range a.Advisories {
		switch {
		case advisory.ID == "":
			fault("advisories[%d]: no id", i)
		case slices.Contains(ids, advisory.ID):
			fault("%s: listed twice", advisory.ID)
		}
		ids = append(ids, advisory.ID)
		for _, reason := range advisory.faults() {
			fault("%s: %s", advisory.ID, reason)
		}
	}
	return faults
}

func (a Advisory) faults() []string {
	var faults []string
	if a.Scope != ControlPlane && a.Scope != RBACOnly {
		faults = append(faults, fmt.Sprintf("scope %q: want %s or %s", string(a.Scope), string(ControlPlane), string(RBACOnly)))
	}
	if a.Summary == "" {
		faults = append(faults, "no summary")
	}
	if !strings.HasPrefix(a.Source, "https://") {
		faults = append(faults, fmt.Sprintf("source %q: want an https:// URL", a.Source))
	}
	if len(a.Ranges) == 0 {
		faults = append(faults, "no ranges")
	}
	for i, r := range a.Ranges {
		if reason := r.fault(); reason != "" {
			faults = append(faults, fmt.Sprintf("ranges[%d]: %s", i, reason))
		}
	}
	return faults
}

func (r Range) fault() string {
	if (r.Fixed == "") == (r.Limit == "") {
		return "want one end, fixed or limit"
	}
	end, err := parseVersion(r.Fixed + r.Limit)
	if err != nil {
		return err.Error()
	}
	var begin version
	if r.Introduced != "" {
		if begin, err = parseVersion(r.Introduced); err != nil {
			return err.Error()
		}
	}
	if !begin.before(end) {
		return fmt.Sprintf("%s is not before %s", r.Introduced, r.Fixed+r.Limit)
	}
	return ""
}

func isDay(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}
