package lint

import (
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

func TestFix(t *testing.T) {
	t.Parallel()
	good := rule("secrets", box("k1", 1))
	tests := []struct {
		name       string
		text, want string // the rules; empty if nothing is to be done
		set        func(*Subject)
	}{
		{name: "nothing", text: good},
		{name: "identity first", text: rule("secrets", identity, box("k1", 1)), want: rule("secrets", box("k1", 1), identity)},
		{name: "identity first, on purpose", text: rule("secrets", identity, box("k1", 1)), set: phase(cluster.Disabling)},
		{name: "identity only", text: rule("secrets", identity)},
		{name: "identity missing", text: good, want: rule("secrets", box("k1", 1), identity), set: phase(cluster.Enabling)},
		{name: "identity lingering", text: rule("secrets", box("k1", 1), identity), want: good, set: phase(cluster.Encrypted)},
		{name: "identity lingering, not known", text: rule("secrets", box("k1", 1), identity)},
		{name: "misspelt, and so in plaintext", text: rule("secret", box("k1", 1)), want: rule("secrets", box("k1", 1), identity)},
		{name: "misspelt, whatever the phase", text: rule("secret", box("k1", 1)), want: rule("secrets", box("k1", 1), identity), set: phase(cluster.Encrypted)},
		{name: "misspelt, and there", text: rule("secrets, secret", box("k1", 1)), want: good},
		{name: "misspelt twice", text: rule("secret, secrts", box("k1", 1)), want: rule("secrets", box("k1", 1), identity)},
		{name: "misspelt, and there in another rule", text: rule("secret", box("k1", 1)) + good},
		{name: "two can be meant", text: rule("secrets, xyz", box("k1", 1))},
		{name: "group and version", text: rule("secrets, deployments, jobs.v1.batch", box("k1", 1)), want: rule("secrets, deployments.apps, jobs.batch", box("k1", 1), identity)},
		{name: "behind a wildcard", text: rule("'*.'", box("k1", 1)) + rule("secret.v1", box("k1", 1))},
		{name: "empty", text: rule("secrets, ''", box("k1", 1)), want: good},
		{name: "empty alone", text: rule("''", box("k1", 1))},
		{name: "custom", text: rule("pandas.bears.example", box("k1", 1))},
		{name: "repeated key", text: rule("secrets", keyed("secretbox", "a="+key(1), "b="+key(2), "a="+key(1))), want: rule("secrets", keyed("secretbox", "a="+key(1), "b="+key(2)))},
		{name: "repeated provider", text: rule("secrets", box("a", 1), keyed("aescbc", "a="+key(1)), box("a", 1)), want: rule("secrets", box("a", 1), keyed("aescbc", "a="+key(1)))},
		{name: "ambiguous keys", text: rule("secrets", keyed("secretbox", "a="+key(1), "a="+key(2)))},
		{name: "second document", text: good + "---\nx: y\n", want: good},
		{name: "kms v1", text: rule("secrets", kms("endpoint: 'unix:///run/kms/kms.sock'"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := subject(fixture{text: head + tt.text, set: tt.set})
			if s.Refused != nil {
				t.Fatal(s.Refused)
			}
			fixed, changes := Fix(s)
			if (tt.want == "") != (len(changes) == 0) {
				t.Fatalf("changes %q", changes)
			}
			text, err := fixed.Render()
			if err != nil {
				t.Fatal(err)
			}
			want := s.Configuration
			if tt.want != "" {
				if want, err = encryption.Parse("", []byte(head+tt.want), encryption.Server{}); err != nil {
					t.Fatal(err)
				}
			}
			if !fixed.Equal(want) {
				t.Errorf("%q gives\n%s", changes, withoutSecrets(string(text)))
			}
			again := subject(fixture{text: string(text), set: tt.set})
			if _, more := Fix(again); len(more) > 0 && tt.set == nil {
				t.Errorf("what was fixed is fixed again: %q", more)
			}
		})
	}
	if fixed, changes := Fix(Read("e.yaml", []byte("x"))); fixed != nil || changes != nil {
		t.Errorf("of a file that is refused: %v", changes)
	}
}

func withoutSecrets(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.Contains(line, "secret:") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func TestFixedName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"a.yaml": "a.fixed.yaml", "a.yml": "a.fixed.yaml", "a.json": "a.fixed.yaml", "config": "config.fixed.yaml"} {
		if got := FixedName(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// What is corrected is loaded by kube-apiserver, and nothing that was readable stops being so;
// whatever the file.
func FuzzFix(f *testing.F) {
	seeds := 0
	for _, list := range fixtures() {
		for _, fixture := range list {
			f.Add([]byte(fixture.text), seeds%4)
			seeds++
		}
	}
	if seeds == 0 {
		f.Fatal("no seeds")
	}
	phases := append(cluster.Phases(), "")
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		s := Read("e.yaml", data)
		s.Phase = phases[uint(n)%uint(len(phases))]
		if r := Run(Checks(), []*Subject{s}); len(r.Results) != len(Checks()) {
			t.Fatalf("%d results", len(r.Results))
		}
		fixed, _ := Fix(s)
		if fixed == nil {
			return
		}
		if _, err := fixed.Render(); err != nil {
			t.Fatal(err)
		}
		for _, rule := range s.Configuration.Rules {
			for _, resource := range rule.Resources {
				gr := encryption.ParseGroupResource(resource)
				if s.lookUpName(resource).code != "" {
					continue // it does not exist, and nothing of it is stored
				}
				for _, p := range s.Configuration.ProvidersFor(gr) {
					if p.Type == encryption.Identity && s.Phase == cluster.Encrypted {
						continue // the operator says that there is no plaintext
					}
					for _, w := range p.Writers() {
						if !reads(fixed.ProvidersFor(gr), p, w) {
							t.Errorf("%q: %s reads no more", resource, p.Type)
						}
					}
				}
			}
		}
	})
}

func reads(providers []encryption.Provider, wanted encryption.Provider, w audit.Writer) bool {
	for _, p := range providers {
		for i, r := range p.Writers() {
			if r != w {
				continue
			}
			if len(p.Keys) == 0 {
				return true
			}
			for _, k := range wanted.Keys {
				if k.Name == w.Key && k.Same(p.Keys[i]) {
					return true
				}
			}
		}
	}
	return false
}
