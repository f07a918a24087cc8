package catalog_test

import (
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/internal/pastetest"
)

// known is a place with every field set, so that no line keeps a stand-in.
var known = audit.Place{
	AskedAddr: "192.0.2.1:2379", HostAddr: "192.0.2.1", ClientAddr: "192.0.2.1:2379", PeerAddr: "192.0.2.1:2380", MetricsAddr: "192.0.2.1:2381",
	EndpointURLs: []string{"https://192.0.2.1:2379", "https://192.0.2.2:2379"}, MemberID: 0x8e9e05c52164694d,
	FilePath: "a file.yaml", ConfigPath: "the config.yaml", SpecPath: "my cluster.yaml", StoreDir: "my store",
}

// shown matches a command, or flags of etcd.
var shown = regexp.MustCompile(`^(--[a-z]|etcdsec |etcdctl |etcdutl |kubeadm |kubectl |openssl |chmod |chown |head )`)

// checkPasting looks at each line: a command pastes if, and only if, it has no word to fill in, and no
// other line does.
func checkPasting(t *testing.T, remediation audit.Remediation) (pasting int) {
	t.Helper()
	for _, line := range remediation {
		fault := pastetest.Fault(t, line.Text)
		switch isCommand := shown.MatchString(line.Text); {
		case line.Paste && (fault != "" || !isCommand):
			t.Errorf("it does not paste: %q %s", line.Text, fault)
		case !line.Paste && isCommand && len(pastetest.StandIns(line.Text)) == 0:
			t.Errorf("a command without a word to fill in does not paste: %q", line.Text)
		case line.Paste:
			pasting++
		}
	}
	return pasting
}

// Where everything is known, only these words are left to the reader, because no place has them.
func TestLeftToFillIn(t *testing.T) {
	left := map[string][]string{
		"auth-cn-unmapped":         {"NAME"},
		"auth-overbroad-role":      {"ROLE"},
		"ca-key-on-node":           {"MEMBER", "FOLDER"},
		"client-revoked-cert":      {"NAME"},
		"data-unknown-key":         {"NAMESPACE", "NAME"},
		"member-count":             {"NAME", "ADDRESS", "MEMBER_ID"},
		"member-learner-stuck":     {"MEMBER_ID"},
		"member-unhealthy":         {"MEMBER_ID"},
		"peer-accepts-client-cert": {"MEMBER_NAME"},
	}
	for _, c := range catalog.All() {
		var words []string
		for _, line := range c.Remediation(known) {
			if !line.Paste && shown.MatchString(line.Text) {
				words = append(words, pastetest.StandIns(line.Text)...)
			}
		}
		for _, word := range words {
			if !slices.Contains(left[c.ID], word) {
				t.Errorf("%s: %s is left to the reader", c.ID, word)
			}
		}
		for _, word := range left[c.ID] {
			if !slices.Contains(words, word) {
				t.Errorf("%s: %s is not in %q", c.ID, word, c.Remediation(known))
			}
		}
		delete(left, c.ID)
	}
	if len(left) > 0 {
		t.Errorf("no such check: %q", slices.Collect(maps.Keys(left)))
	}
}

// What is found in each fixture pastes, too.
func TestFixturesPaste(t *testing.T) {
	pasting := 0
	for _, f := range fixtures(t) {
		c, found := catalog.Find(f.check)
		if !found || f.verdict != audit.Fail {
			continue
		}
		t.Run(f.check+"/"+f.name, func(t *testing.T) {
			pasting += checkPasting(t, audit.Run([]audit.Check{c}, []audit.Target{f.target}).Results[0].Remediation)
		})
	}
	if pasting < 200 {
		t.Errorf("%d lines paste", pasting)
	}
}
