package snapshot

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
	"github.com/etcdsec/etcdsec/audit/data"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// kube-apiserver takes any characters in the name of a key. Values with such a name are of the
// key that the configuration names: a snapshot needs it, and no check calls it unknown.
func TestNamesOfAnyCharacters(t *testing.T) {
	t.Parallel()
	names := []string{"a\nb", "a\tb", "a b", "\x1b[2J", "\u202egpj.exe", "é", `"a"`, "k:\u0085"}
	s := start(t, release{version: etcdtest.V3_6})
	for i, name := range names {
		s.put(t, secret(2*i), sealed(name, 300))
		s.put(t, secret(2*i+1), sealed(name, 300))
	}
	path := s.snapshot(t)
	var writers []audit.Writer
	for _, name := range names {
		w := audit.Writer{Provider: audit.SecretboxProvider, Key: name}
		writers = append(writers, w)
		folder := Folder{Dir: filepath.Dir(path), Now: time.Now, Options: options()}
		if needing, err := folder.Needing(t.Context(), []audit.Writer{w}); err != nil || !slices.Equal(needing, []string{path}) {
			t.Errorf("%q: needing it are %q, %v", name, needing, err)
		}
		other := audit.Writer{Provider: audit.SecretboxProvider, Key: strings.Map(func(rune) rune { return '?' }, name)}
		if needing, err := folder.Needing(t.Context(), []audit.Writer{other}); err != nil || len(needing) > 0 {
			t.Errorf("%q: needing %q are %q, %v", name, other.Key, needing, err)
		}
	}

	withNames := options()
	withNames.Known = writers
	snapshot, err := Census(t.Context(), path, withNames)
	if err != nil {
		t.Fatal(err)
	}
	live := census.Live{Endpoints: []string{s.url}, Layout: census.DefaultLayout(), Known: writers, Now: time.Now}
	running, err := live.Census(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]*audit.Census{"snapshot": &snapshot, "running": &running} {
		c.Expected = []audit.EncryptionRule{{Resources: []string{"secrets"}, Writers: writers}}
		stored := &audit.StoredData{Address: c.Source, Now: time.Now(), Census: c}
		report := audit.Run([]audit.Check{data.UnknownKey()}, []audit.Target{stored})
		if len(report.Results) != 1 || report.Results[0].Verdict != audit.Pass {
			t.Errorf("%s: %+v", what, report.Results)
		}
		// With a configuration that lacks one of them, it is named so that it can be read.
		c.Expected[0].Writers = writers[1:]
		report = audit.Run([]audit.Check{data.UnknownKey()}, []audit.Target{stored})
		if got := report.Results[0]; got.Verdict != audit.Fail || !strings.Contains(got.Evidence, `secretbox "a\nb"`) {
			t.Errorf("%s, without a key: %+v", what, got)
		}
	}
}
