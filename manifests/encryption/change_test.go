package encryption

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

func parsed(t *testing.T, text string) *Configuration {
	t.Helper()
	c, err := Parse("config.yaml", []byte(text), Server{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func key(t *testing.T, seed byte) Key {
	t.Helper()
	k, err := GenerateKey(rand.NewChaCha8([32]byte{seed}), time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const resourcesTested = "secrets configmaps deployments.apps events"

func fullConfig() string {
	s := secrets()
	return head + "resources:\n- resources: [events]\n  providers:\n  - identity: {}\n" +
		"- resources: [secrets, configmaps]\n  providers:\n  - aescbc: {keys: [{name: old, secret: " + s[3] + "}]}\n" +
		"- resources: ['*.apps']\n  providers:\n  - secretbox: {keys: [{name: one, secret: " + s[0] + "}, {name: two, secret: " + s[1] + "}]}\n  - identity: {}\n"
}

// Through every step of a rotation, kube-apiserver's own code reads what was written one step
// earlier and one step later, so that API servers one step apart never lose a value.
func TestRotationReadsItsNeighbours(t *testing.T) {
	t.Parallel()
	for _, provider := range []ProviderType{Secretbox, AESGCM, AESCBC} {
		t.Run(string(provider), func(t *testing.T) {
			t.Parallel()
			fresh := key(t, 1)
			steps := []*Configuration{parsed(t, fullConfig())}
			step := func(c *Configuration, err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				steps = append(steps, c)
			}
			last := func() *Configuration { return steps[len(steps)-1] }
			step(last().AddSecond(Provider{Type: provider, Keys: []Key{fresh}}))
			step(last().Promote(audit.Writer{Provider: audit.Provider(provider), Key: fresh.Name}))
			rewritten := len(steps) - 1
			step(last().Drop(audit.Writer{Provider: audit.AESCBCProvider, Key: "old"}))
			step(last().Drop(audit.Writer{Provider: audit.SecretboxProvider, Key: "one"}))
			step(last().Drop(audit.Writer{Provider: audit.SecretboxProvider, Key: "two"}))
			step(last().Drop(audit.Writer{Provider: audit.IdentityProvider}))
			if got := fmt.Sprint(last().Writers()); got != fmt.Sprint([]audit.Writer{{Provider: audit.Provider(provider), Key: fresh.Name}}) {
				t.Errorf("writers at the end: %s", got)
			}
			neighbours(t, steps, rewritten)
		})
	}
}

// neighbours stores values by each configuration and reads them by the one before and after;
// from the rewritten one on, what is older is not read any more.
func neighbours(t *testing.T, steps []*Configuration, rewritten int) {
	t.Helper()
	var requests []request
	for _, c := range steps {
		text, err := c.Render()
		if err != nil {
			t.Fatal(err)
		}
		r := request{Config: text}
		for resource := range strings.FieldsSeq(resourcesTested) {
			r.Store = append(r.Store, entry{resource, "/registry/" + resource + "/a/b", []byte("value")})
		}
		requests = append(requests, r)
	}
	answers := ask(t, requests...)
	for i, a := range answers {
		for _, j := range []int{i - 1, i, i + 1} {
			if j < 0 || j >= len(steps) || (i < rewritten && j > rewritten) {
				continue
			}
			for n, e := range requests[i].Store {
				if a.Stored[n].Error != "" {
					t.Fatalf("step %d does not store %s: %s", i, e.Resource, a.Stored[n].Error)
				}
				requests[j].Read = append(requests[j].Read, entry{e.Resource, e.Key, a.Stored[n].Value})
			}
		}
		for n, e := range requests[i].Store {
			writer := steps[i].ProvidersFor(ParseGroupResource(e.Resource))
			want := ""
			if len(writer) > 0 {
				want = writer[0].Writers()[0].Prefix()
			}
			if got := string(a.Stored[n].Value); !strings.HasPrefix(got, want) || (want == "") != (got == "value") {
				t.Errorf("step %d stores %s as %.30q, want %q before it", i, e.Resource, got, want)
			}
		}
	}
	reads := 0
	for i, a := range ask(t, requests...) {
		for n, r := range a.Read {
			reads++
			if r.Error != "" || string(r.Value) != "value" {
				t.Errorf("step %d does not read %s: %s", i, requests[i].Read[n].Resource, r.Error)
			}
		}
	}
	if reads == 0 {
		t.Error("nothing was read")
	}
}

func TestChangesThatAreRefused(t *testing.T) {
	t.Parallel()
	c := parsed(t, fullConfig())
	before, err := c.Render()
	if err != nil {
		t.Fatal(err)
	}
	one := c.Rules[2].Providers[0].Keys[0]
	for name, change := range map[string]func() (*Configuration, error){
		"the key that writes": func() (*Configuration, error) {
			return c.Drop(audit.Writer{Provider: audit.AESCBCProvider, Key: "old"})
		},
		"a key that is not there": func() (*Configuration, error) {
			return c.Drop(audit.Writer{Provider: audit.AESCBCProvider, Key: "none"})
		},
		"promote what is nowhere": func() (*Configuration, error) {
			return c.Promote(audit.Writer{Provider: audit.SecretboxProvider, Key: "none"})
		},
		"promote what some lack": func() (*Configuration, error) {
			return c.Promote(audit.Writer{Provider: audit.SecretboxProvider, Key: "two"})
		},
		"a name that is there": func() (*Configuration, error) {
			return c.AddSecond(Provider{Type: AESGCM, Keys: []Key{NewKey("one", make([]byte, 32))}})
		},
		"a secret that is there": func() (*Configuration, error) {
			return c.AddSecond(Provider{Type: Secretbox, Keys: []Key{NewKey("new", one.bytes())}})
		},
		"plaintext":                func() (*Configuration, error) { return c.AddSecond(Provider{Type: Identity}) },
		"a provider without a key": func() (*Configuration, error) { return c.AddSecond(Provider{Type: Secretbox}) },
		"where nothing encrypts": func() (*Configuration, error) {
			return parsed(t, withProviders("  - identity: {}\n")).AddSecond(Provider{Type: Secretbox, Keys: []Key{key(t, 1)}})
		},
	} {
		if next, err := change(); err == nil || next != nil {
			t.Errorf("%s: %v %v", name, next, err)
		} else if name == "the key that writes" && !errors.Is(err, ErrWrites) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, change := range []func() (*Configuration, error){
		func() (*Configuration, error) { return c.AddSecond(Provider{Type: AESCBC, Keys: []Key{key(t, 1)}}) },
		func() (*Configuration, error) { return c.WithIdentity() },
		func() (*Configuration, error) {
			return c.Drop(audit.Writer{Provider: audit.SecretboxProvider, Key: "two"})
		},
	} {
		if _, err := change(); err != nil {
			t.Error(err)
		}
	}
	after, err := c.Render()
	if err != nil || string(after) != string(before) {
		t.Errorf("a change of a copy changed the configuration: %v\n%s", err, after)
	}
}

// Encryption is turned off by writing plaintext and reading on with the keys.
func TestTurningOff(t *testing.T) {
	t.Parallel()
	c := parsed(t, head+oneKey())
	with, err := c.WithIdentity()
	if err != nil {
		t.Fatal(err)
	}
	off, err := with.Promote(audit.Writer{Provider: audit.IdentityProvider})
	if err != nil {
		t.Fatal(err)
	}
	neighbours(t, []*Configuration{c, with, off}, 3)
	if writers := off.Writers(); len(writers) != 1 || writers[0].Provider != audit.IdentityProvider {
		t.Errorf("%v", writers)
	}
}

func TestKMSRotation(t *testing.T) {
	t.Parallel()
	plugin := Provider{Type: KMS, Plugin: &KMSPlugin{APIVersion: KMSVersion2, Name: "hsm", Endpoint: "unix:///run/kms.sock", Timeout: 3 * time.Second}}
	c, err := parsed(t, head+oneKey()).AddSecond(plugin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AddSecond(plugin); err == nil {
		t.Error("two plugins of one name")
	}
	if c, err = c.Promote(audit.Writer{Provider: audit.KMSv2Provider, Key: "hsm"}); err != nil {
		t.Fatal(err)
	}
	if c, err = c.Drop(audit.Writer{Provider: audit.SecretboxProvider, Key: "k1"}); err != nil {
		t.Fatal(err)
	}
	text, err := c.Render("Made by a test.")
	want := "# Made by a test.\n" + head + `resources:
  - resources: [secrets]
    providers:
      - kms:
          apiVersion: v2
          name: hsm
          endpoint: "unix:///run/kms.sock"
          timeout: "3s"
`
	if err != nil || string(text) != want {
		t.Errorf("%v\n%s", err, text)
	}
	if a := ask(t, request{Config: text})[0]; !a.LoadsReload || a.Hash != Hash(text) {
		t.Errorf("%+v", a)
	}
}
