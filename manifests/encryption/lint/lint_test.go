package lint

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/pastetest"
)

const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"

// key is a random key, always the same one for a number, in base64.
func key(n int, size ...int) string {
	raw := make([]byte, append(size, 32)[0])
	r := rand.New(rand.NewPCG(uint64(n), 7))
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func encoded(raw string) string { return base64.StdEncoding.EncodeToString([]byte(raw)) }

// rule is one of a file, with its providers in flow style.
func rule(resources string, providers ...string) string {
	return "- resources: [" + resources + "]\n  providers:\n  - " + strings.Join(providers, "\n  - ") + "\n"
}

// keyed is a provider with keys, each as name=base64.
func keyed(provider string, keys ...string) string {
	var list []string
	for _, k := range keys {
		name, secret, _ := strings.Cut(k, "=")
		list = append(list, fmt.Sprintf("{name: %q, secret: %q}", name, secret))
	}
	return provider + ": {keys: [" + strings.Join(list, ", ") + "]}"
}

const identity = "identity: {}"

func box(name string, n int) string { return keyed("secretbox", name+"="+key(n)) }

func kms(fields string) string { return "kms: {name: hsm, " + fields + "}" }

// fixture is a file, what is known about it, and how a check ends on it.
type fixture struct {
	name    string
	text    string
	set     func(*Subject)
	verdict audit.Verdict
	codes   string // of a fail
	says    string // in the evidence
}

func phase(p cluster.Phase) func(*Subject) { return func(s *Subject) { s.Phase = p } }

func writes(n int64) func(*Subject) { return func(s *Subject) { s.Writes = n } }

func fixtures() map[string][]fixture {
	good := head + rule("secrets", box("k1", 1))
	v2 := kms("apiVersion: v2, endpoint: 'unix:///run/kms/kms.sock'")
	return map[string][]fixture{
		"encryption-refused": {
			{name: "good", text: good, verdict: audit.Pass},
			{name: "two faults", text: head + rule("Secrets", keyed("secretbox", "k="+key(1, 16))), verdict: audit.Fail, codes: "refused", says: "e.yaml:4: resources[0].resources[0]"},
			{name: "unread", set: func(s *Subject) { s.Configuration, s.Unread = nil, errors.New("no such file") }, verdict: audit.Unknown, says: "no such file"},
		},
		"encryption-kms-v1": {
			{name: "v2", text: head + rule("secrets", v2), verdict: audit.Pass},
			{name: "no apiVersion", text: head + rule("secrets", kms("endpoint: 'unix:///run/kms/kms.sock'")), verdict: audit.Fail, codes: "unversioned", says: "line 6"},
			{name: "v1", text: head + rule("secrets", kms("apiVersion: v1, endpoint: 'unix:///run/kms/kms.sock'")), verdict: audit.Fail, codes: "v1"},
		},
		"encryption-identity-first": {
			{name: "last", text: head + rule("secrets", box("k1", 1), identity), verdict: audit.Pass},
			{name: "first", text: head + rule("secrets", identity, box("k1", 1)), verdict: audit.Fail, codes: "first"},
			{name: "only", text: head + rule("secrets", identity), verdict: audit.Fail, codes: "only"},
			{name: "first in an earlier rule", text: head + rule("secrets", identity) + rule("secrets", box("k1", 1)), verdict: audit.Fail, codes: "first"},
			{name: "an exemption", text: head + rule("events", identity) + rule("'*.*'", box("k1", 1)), verdict: audit.Pass},
			{name: "an exemption of a group", text: head + rule("'*.apps'", identity) + rule("'*.*'", box("k1", 1)), verdict: audit.Pass},
			{name: "no exemption for Secrets", text: head + rule("secrets", identity) + rule("'*.*'", box("k1", 1)), verdict: audit.Fail, codes: "only"},
			{name: "a wildcard of another group", text: head + rule("events", identity) + rule("'*.apps'", box("k1", 1)), verdict: audit.Fail, codes: "only"},
			{name: "turned off", text: head + rule("secrets", identity, box("k1", 1)), set: phase(cluster.Disabling), verdict: audit.Skip},
		},
		"encryption-identity-missing": {
			{name: "enabling", text: head + rule("secrets", box("k1", 1), identity), set: phase(cluster.Enabling), verdict: audit.Pass},
			{name: "missing", text: good, set: phase(cluster.Enabling), verdict: audit.Fail, codes: "missing"},
			{name: "in another rule", text: good + rule("secrets", identity), set: phase(cluster.Enabling), verdict: audit.Pass},
			{name: "not known", text: good, verdict: audit.Skip, says: "--phase"},
			{name: "encrypted", text: good, set: phase(cluster.Encrypted), verdict: audit.Skip},
		},
		"encryption-identity-lingering": {
			{name: "none", text: good, verdict: audit.Pass},
			{name: "not known", text: head + rule("secrets", box("k1", 1), identity), verdict: audit.Fail, codes: "lingering"},
			{name: "encrypted", text: head + rule("secrets", box("k1", 1), identity), set: phase(cluster.Encrypted), verdict: audit.Fail, codes: "lingering"},
			{name: "enabling", text: head + rule("secrets", box("k1", 1), identity), set: phase(cluster.Enabling), verdict: audit.Skip},
			{name: "an exemption", text: good + rule("events", identity), verdict: audit.Pass},
		},
		"encryption-secrets-uncovered": {
			{name: "named", text: good, verdict: audit.Pass},
			{name: "core group", text: head + rule("'*.'", box("k1", 1)), verdict: audit.Pass},
			{name: "everything", text: head + rule("'*.*'", box("k1", 1)), verdict: audit.Pass},
			{name: "configmaps", text: head + rule("configmaps, '*.apps'", box("k1", 1)), verdict: audit.Fail, codes: "uncovered", says: "configmaps, *.apps"},
			{name: "misspelt", text: head + rule("secret", box("k1", 1)), verdict: audit.Fail, codes: "uncovered"},
		},
		"encryption-no-such-resource": {
			{name: "built in", text: head + rule("secrets, configmaps., deployments.apps, '*.batch', events", box("k1", 1)), verdict: audit.Pass},
			{name: "everything", text: head + rule("'*.*'", box("k1", 1)), verdict: audit.Pass},
			{name: "misspelt", text: head + rule("secret", box("k1", 1)), verdict: audit.Fail, codes: "misspelt", says: `"secrets" does exist`},
			{name: "in another group", text: head + rule("deployments", box("k1", 1)), verdict: audit.Fail, codes: "group", says: `"deployments.apps" does exist`},
			{name: "short group", text: head + rule("roles.rbac", box("k1", 1)), verdict: audit.Fail, codes: "group", says: `"roles.rbac.authorization.k8s.io" does exist`},
			{name: "version", text: head + rule("secrets.v1", box("k1", 1)), verdict: audit.Fail, codes: "version", says: `"secrets" does exist`},
			{name: "version and group", text: head + rule("deployments.v1.apps", box("k1", 1)), verdict: audit.Fail, codes: "version", says: `"deployments.apps" does exist`},
			{name: "empty", text: head + rule("''", box("k1", 1)), verdict: audit.Fail, codes: "empty"},
			{name: "not stored", text: head + rule("tokenreviews.authentication.k8s.io", box("k1", 1)), verdict: audit.Fail, codes: "virtual"},
			{name: "unlike anything", text: head + rule("pandas", box("k1", 1)), verdict: audit.Fail, codes: "misspelt"},
			{name: "custom", text: head + rule("secrets, pandas.bears.example", box("k1", 1)), verdict: audit.Unknown, says: "pandas.bears.example"},
			{name: "a custom group", text: head + rule("'*.bears.example'", box("k1", 1)), verdict: audit.Unknown},
			{name: "custom and known", text: head + rule("pandas.bears.example", box("k1", 1)), set: func(s *Subject) { s.CRDs = []string{"*.bears.example"} }, verdict: audit.Pass},
			{name: "newer than the table", text: head + rule("things.apps", box("k1", 1)), set: func(s *Subject) { s.CRDs = []string{"things.apps"} }, verdict: audit.Pass},
		},
		"encryption-masked-rule": {
			{name: "one each", text: good + rule("'*.'", box("k1", 1)), verdict: audit.Pass},
			{name: "twice", text: good + rule("configmaps, secrets", box("k2", 2)), verdict: audit.Fail, codes: "masked", says: "secrets is written by line 4"},
		},
		"encryption-ignored-document": {
			{name: "one", text: "---\n" + good + "---\n", verdict: audit.Pass},
			{name: "two", text: good + "---\n" + good, verdict: audit.Fail, codes: "ignored"},
			{name: "garbage", text: good + "---\na: [\n", verdict: audit.Fail, codes: "ignored"},
		},
		"encryption-weak-key": {
			{name: "random", text: good, verdict: audit.Pass},
			{name: "published", text: head + rule("secrets", keyed("aescbc", "k1=c2VjcmV0IGlzIHNlY3VyZQ==", "k2=dGhpcyBpcyBwYXNzd29yZA==")), verdict: audit.Fail, codes: "published"},
			{name: "published 32", text: head + rule("secrets", keyed("secretbox", "k1=YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY=")), verdict: audit.Fail, codes: "published"},
			{name: "zero", text: head + rule("secrets", keyed("secretbox", "k1="+encoded(strings.Repeat("\x00", 32)))), verdict: audit.Fail, codes: "constant"},
			{name: "counting", text: head + rule("secrets", keyed("aesgcm", "k1="+encoded("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"))), verdict: audit.Fail, codes: "sequence"},
			{name: "repeated", text: head + rule("secrets", keyed("secretbox", "k1="+encoded(strings.Repeat("\x93\x07\xf1\xaa\x00\x41\x5c\xee", 4)))), verdict: audit.Fail, codes: "repeated"},
			{name: "few values", text: head + rule("secrets", keyed("secretbox", "k1="+encoded("\x00\x01\x02\x00\x00\x01\x00\x02\x00\x00\x00\x01\x02\x02\x01\x00\x00\x01\x02\x00\x00\x01\x00\x02\x00\x00\x00\x01\x02\x02\x01\x07"))), verdict: audit.Fail, codes: "few-values"},
			{name: "hexadecimal of 16", text: head + rule("secrets", keyed("aescbc", "k1="+encoded("9f03c2a7e1d4b860"))), verdict: audit.Fail, codes: "short-text", says: "2^64"},
			{name: "a sentence", text: head + rule("secrets", keyed("aescbc", "k1="+encoded("correct horse 12"))), verdict: audit.Fail, codes: "typed"},
			{name: "a passphrase of 32", text: head + rule("secrets", keyed("secretbox", "k1="+encoded("my-very-secret-etcd-passphrase-1"))), verdict: audit.Fail, codes: "typed", says: "typed"},
			{name: "letters and digits", text: head + rule("secrets", keyed("secretbox", "k1="+encoded("q8ZrT2mVx0LbN7cKd5WyHs3JfGp9Ae4U"))), verdict: audit.Fail, codes: "text", says: "190 bits"},
		},
		"encryption-short-key": {
			{name: "32", text: good, verdict: audit.Pass},
			{name: "16 and 24", text: head + rule("secrets", keyed("aesgcm", "a="+key(1, 16), "b="+key(2, 24), "c="+key(3))), verdict: audit.Fail, codes: "short", says: "16 bytes; "},
		},
		"encryption-shared-secret": {
			{name: "one key in two rules", text: good + rule("configmaps", box("k1", 1)), verdict: audit.Pass},
			{name: "two names", text: head + rule("secrets", keyed("secretbox", "a="+key(1), "b="+key(1))), verdict: audit.Fail, codes: "two-names"},
			{name: "two ciphers", text: head + rule("secrets", keyed("secretbox", "a="+key(1)), keyed("aescbc", "a="+key(1))), verdict: audit.Fail, codes: "two-ciphers"},
		},
		"encryption-duplicate-key-name": {
			{name: "one key in two rules", text: good + rule("configmaps", box("k1", 1)), verdict: audit.Pass},
			{name: "ambiguous", text: head + rule("secrets", keyed("aescbc", "a="+key(1), "a="+key(2))), verdict: audit.Fail, codes: "ambiguous"},
			{name: "ambiguous over rules", text: good + rule("configmaps", box("k1", 2)), verdict: audit.Fail, codes: "ambiguous"},
			{name: "two providers", text: head + rule("secrets", keyed("secretbox", "a="+key(1)), keyed("aescbc", "a="+key(2))), verdict: audit.Fail, codes: "two-providers"},
			{name: "repeated", text: head + rule("secrets", keyed("secretbox", "a="+key(1), "a="+key(1))), verdict: audit.Fail, codes: "repeated"},
		},
		"encryption-key-name-colon": {
			{name: "none", text: good, verdict: audit.Pass},
			{name: "a key", text: head + rule("secrets", box("a:b", 1)), verdict: audit.Fail, codes: "colon"},
			{name: "a plugin of v1", text: head + rule("secrets", "kms: {name: 'a:b', apiVersion: v1, endpoint: 'unix:///run/kms.sock'}"), verdict: audit.Fail, codes: "colon"},
		},
		"encryption-many-keys": {
			{name: "three", text: head + rule("secrets", keyed("secretbox", "a="+key(1), "b="+key(2), "c="+key(3))), verdict: audit.Pass},
			{name: "four", text: head + rule("secrets", keyed("secretbox", "a="+key(1), "b="+key(2)), keyed("aescbc", "c="+key(3)), v2), verdict: audit.Fail, codes: "many"},
		},
		"encryption-aescbc": {
			{name: "reads", text: head + rule("secrets", box("k1", 1), keyed("aescbc", "old="+key(2))), verdict: audit.Pass},
			{name: "writes", text: head + rule("secrets", keyed("aescbc", "old="+key(2))), verdict: audit.Fail, codes: "aescbc"},
		},
		"encryption-aesgcm-budget": {
			{name: "none", text: good, verdict: audit.Pass},
			{name: "uncounted", text: head + rule("secrets", keyed("aesgcm", "a="+key(1))), verdict: audit.Fail, codes: "uncounted"},
			{name: "counted", text: head + rule("secrets", keyed("aesgcm", "a="+key(1))), set: writes(199_999), verdict: audit.Pass},
			{name: "spent", text: head + rule("secrets", keyed("aesgcm", "a="+key(1))), set: writes(200_000), verdict: audit.Fail, codes: "spent"},
			{name: "reads", text: head + rule("secrets", box("k1", 1), keyed("aesgcm", "a="+key(2))), set: writes(300_000), verdict: audit.Pass},
		},
		"encryption-relocatable": {
			{name: "kms", text: head + rule("secrets", v2), verdict: audit.Pass},
			{name: "secretbox", text: good, verdict: audit.Fail, codes: "secretbox"},
			{name: "aescbc", text: head + rule("secrets", keyed("aescbc", "a="+key(1))), verdict: audit.Fail, codes: "aescbc"},
			{name: "reads", text: head + rule("secrets", v2, box("k1", 1)), verdict: audit.Pass},
		},
		"encryption-kms-socket": {
			{name: "a path", text: head + rule("secrets", v2), verdict: audit.Pass},
			{name: "abstract", text: head + rule("secrets", kms("apiVersion: v2, endpoint: 'unix:///@kms'")), verdict: audit.Fail, codes: "abstract"},
			{name: "no path", text: head + rule("secrets", kms("apiVersion: v2, endpoint: 'unix:kms'")), verdict: audit.Fail, codes: "no-path"},
			{name: "a host", text: head + rule("secrets", kms("apiVersion: v2, endpoint: 'unix://run/kms.sock'")), verdict: audit.Fail, codes: "host"},
		},
		"encryption-file-mode": {
			{name: "stdin", text: good, verdict: audit.Skip},
			{name: "0600", text: good, set: func(s *Subject) { s.Mode, s.HasMode = 0o600, true }, verdict: audit.Pass},
			{name: "0640", text: good, set: func(s *Subject) { s.Mode, s.HasMode = 0o640, true }, verdict: audit.Fail, codes: "mode", says: "0640"},
			{name: "of a file that is refused", text: "x", set: func(s *Subject) { s.Mode, s.HasMode = 0o644, true }, verdict: audit.Fail, codes: "mode"},
		},
		"encryption-legacy-kind": {
			{name: "new", text: good, verdict: audit.Pass},
			{name: "old", text: "apiVersion: v1\nkind: EncryptionConfig\n" + strings.TrimPrefix(good, "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n"), verdict: audit.Fail, codes: "legacy"},
		},
	}
}

func subject(f fixture) *Subject {
	s := Read("e.yaml", []byte(f.text))
	if f.set != nil {
		f.set(s)
	}
	return s
}

// Every check passes and fails where it should, and says no more than it may.
func TestFixtures(t *testing.T) {
	t.Parallel()
	all := fixtures()
	for _, c := range Checks() {
		seen := map[audit.Verdict]bool{}
		for _, f := range all[c.ID] {
			r := Run([]Check{c}, []*Subject{subject(f)})
			if len(r.Results) != 1 {
				t.Fatalf("%s, %s: %d results", c.ID, f.name, len(r.Results))
			}
			got := r.Results[0]
			seen[got.Verdict] = true
			if got.Verdict != f.verdict || strings.Join(got.Codes, " ") != f.codes || !strings.Contains(got.Evidence, f.says) {
				t.Errorf("%s, %s: %s %v: %s", c.ID, f.name, got.Verdict, got.Codes, got.Evidence)
			}
			for _, line := range got.Remediation {
				if fault := pastetest.Fault(t, line.Text); line.Paste && fault != "" {
					t.Errorf("%s, %s: %q: %s", c.ID, f.name, line.Text, fault)
				}
			}
			if got.Kind != audit.Encryption || got.Target != "e.yaml" {
				t.Errorf("%s, %s: %+v", c.ID, f.name, got)
			}
		}
		if !seen[audit.Pass] || !seen[audit.Fail] {
			t.Errorf("%s: fixtures end as %v; want a pass and a fail", c.ID, seen)
		}
		delete(all, c.ID)
	}
	if len(all) > 0 {
		t.Errorf("fixtures of no check: %v", all)
	}
}

// leftToFillIn holds the words that no place has.
var leftToFillIn = map[string][]string{"encryption-many-keys": {"SNAPSHOT"}, "encryption-no-such-resource": {"GROUP"}}

func TestMetadata(t *testing.T) {
	t.Parallel()
	kebab := regexp.MustCompile(`^encryption(-[a-z0-9]+)+$`)
	paste := regexp.MustCompile(`(?m)^(--[a-z]|etcdsec |kubectl |chmod |head |  (- )?[a-zA-Z-]+: )`)
	seen := map[string]bool{}
	for _, c := range Checks() {
		if seen[c.ID] || !kebab.MatchString(c.ID) || c.Severity.Rank() < 0 {
			t.Errorf("%s %s", c.ID, c.Severity)
		}
		seen[c.ID] = true
		if c.Title == "" || len(c.Title) > 70 || strings.HasSuffix(c.Title, ".") {
			t.Errorf("%s: title %q", c.ID, c.Title)
		}
		for name, text := range map[string]string{"rationale": c.Rationale, "method": c.Method} {
			if len(text) < 35 || !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %s %q", c.ID, name, text)
			}
		}
		remediation := c.Remediation(audit.Place{})
		if !paste.MatchString(remediation.String()) {
			t.Errorf("%s: no line to paste in %q", c.ID, remediation)
		}
		known := audit.Place{ClientAddr: "192.0.2.1:2379", HostAddr: "192.0.2.1", FilePath: "a b.yaml", SpecPath: "my cluster.yaml", StoreDir: "my store"}
		for _, line := range slices.Concat(remediation, c.Remediation(known)) {
			complete := len(pastetest.StandIns(line.Text)) == 0
			if line.Text == "" || strings.Contains(line.Text, "%!") || (paste.MatchString(line.Text) && complete) != line.Paste {
				t.Errorf("%s: to paste %t: %q", c.ID, line.Paste, line.Text)
			}
			if fault := pastetest.Fault(t, line.Text); line.Paste && fault != "" {
				t.Errorf("%s: %q: %s", c.ID, line.Text, fault)
			}
		}
		for _, line := range c.Remediation(known) {
			if words := pastetest.StandIns(line.Text); paste.MatchString(line.Text) && !slices.Equal(words, leftToFillIn[c.ID]) && len(words) > 0 {
				t.Errorf("%s: %q are left to the reader in %q", c.ID, words, line.Text)
			}
		}
		if !slices.ContainsFunc(c.References, func(r string) bool { return strings.HasPrefix(r, "NIST 800-53 ") }) {
			t.Errorf("%s: references %q", c.ID, c.References)
		}
	}
}

// Several files keep their order, and a path is pasted as one word.
func TestRun(t *testing.T) {
	t.Parallel()
	a, b := Read("a b.yaml", []byte(head+rule("secrets", identity, box("k1", 1)))), Read("refused.yaml", []byte("x"))
	r := Run(Checks(), []*Subject{a, b})
	if len(r.Results) != 2*len(Checks()) || r.Results[0].Target != "a b.yaml" || r.Results[len(Checks())].Target != "refused.yaml" {
		t.Fatalf("%d results", len(r.Results))
	}
	if got := r.Results[2]; !strings.Contains(got.RemediationText, "--fix 'a b.yaml'\n") {
		t.Errorf("%q", got.Remediation)
	}
	for _, got := range r.Results[len(Checks())+1:] {
		if got.Verdict != audit.Skip {
			t.Errorf("of a file that is refused: %s %s", got.CheckID, got.Verdict)
		}
	}
	if len(r.Inventory.Listeners) != 0 {
		t.Error("a file is no listener")
	}
}

// Random keys are never called weak.
func TestRandomKeysAreStrong(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 5))
	for range 200_000 {
		raw := make([]byte, []int{16, 24, 32}[r.IntN(3)])
		for i := range raw {
			raw[i] = byte(r.Uint32())
		}
		if trait := traitOf(raw); trait != "" {
			t.Fatalf("%x is %s", raw, trait)
		}
	}
}

// Nothing that is said has a key in it.
func TestKeysAreNotSaid(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`[A-Za-z0-9+/=]{16,}`)
	for id, list := range fixtures() {
		for _, f := range list {
			s := subject(f)
			_, changes := Fix(s)
			report := Run(Checks(), []*Subject{s})
			said := fmt.Sprintf("%+v %+v %v", report, s, changes)
			for _, word := range secret.FindAllString(f.text, -1) {
				if raw, err := base64.StdEncoding.DecodeString(word); err == nil && len(raw) >= 16 && (strings.Contains(said, word) || strings.Contains(said, string(raw))) {
					t.Errorf("%s, %s: a secret is said", id, f.name)
				}
			}
		}
	}
}
