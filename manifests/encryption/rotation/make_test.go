package rotation_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests/encryption"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
)

// shape is what a configuration has, without its keys' secrets: "secrets: secretbox a, identity".
func shape(t *testing.T, file []byte) string {
	t.Helper()
	if file == nil {
		return "none"
	}
	c, err := encryption.Parse("x", file, encryption.Server{KMSv1: true})
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, rule := range c.Rules {
		var writers []string
		for _, p := range rule.Providers {
			for _, w := range p.Writers() {
				writers = append(writers, strings.TrimSpace(string(p.Type)+" "+w.Key))
			}
		}
		rules = append(rules, strings.Join(rule.Resources, "+")+": "+strings.Join(writers, ", "))
	}
	return strings.Join(rules, "; ")
}

func TestMake(t *testing.T) {
	t.Parallel()
	spec := func(encryption string) *cluster.Cluster {
		c, err := cluster.Read("spec", strings.NewReader(fmt.Sprintf(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: test}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [10.0.0.11]}]
  encryption: %s
`, encryption)))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	plain := spec(`{resources: [secrets, "*.*"], exclude: [events]}`)
	mixed := []byte(`apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [events]
  providers: [{identity: {}}]
- resources: [secrets]
  providers:
  - aescbc: {keys: [{name: a, secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}, {name: old, secret: AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}]}
  - identity: {}
`)
	key := encryption.NewKey("new", bytes.Repeat([]byte{7}, 32))
	for name, c := range map[string]struct {
		current  []byte
		spec     *cluster.Cluster
		provider encryption.ProviderType
		want     [4]string // the stages
		to, from string
		fault    string
	}{
		"a key": {conf("secretbox:a"), plain, encryption.Secretbox, [4]string{
			"secrets: secretbox a", "secrets: secretbox a, secretbox new", "secrets: secretbox new, secretbox a", "secrets: secretbox new",
		}, "secretbox key new", "[secretbox key a]", ""},
		"a provider, with old keys and exceptions": {mixed, plain, encryption.AESGCM, [4]string{
			"events: identity; secrets: aescbc a, aescbc old, identity",
			"events: identity; secrets: aescbc a, aescbc old, aesgcm new, identity",
			"events: identity; secrets: aesgcm new, aescbc a, aescbc old, identity",
			"events: identity; secrets: aesgcm new",
		}, "aesgcm key new", "[aescbc key a aescbc key old identity]", ""},
		"from nothing": {nil, plain, encryption.Secretbox, [4]string{
			"none",
			"events: identity; secrets: identity, secretbox new; *.*: identity, secretbox new",
			"events: identity; secrets: secretbox new, identity; *.*: secretbox new, identity",
			"events: identity; secrets: secretbox new; *.*: secretbox new",
		}, "secretbox key new", "[identity]", ""},
		"from identity": {conf("identity"), spec("{}"), encryption.Secretbox, [4]string{
			"secrets: identity", "secrets+configmaps: identity, secretbox new", "secrets+configmaps: secretbox new, identity", "secrets+configmaps: secretbox new",
		}, "secretbox key new", "[identity]", ""},
		"to a KMS plugin": {conf("secretbox:a"), spec(`{provider: kms, socket: "unix:///run/kms/plugin.sock"}`), encryption.KMS, [4]string{
			"secrets: secretbox a", "secrets: secretbox a, kms test-kms", "secrets: kms test-kms, secretbox a", "secrets: kms test-kms",
		}, "KMS plugin test-kms", "[secretbox key a]", ""},
		"to plaintext": {conf("secretbox:a"), plain, encryption.Identity, [4]string{
			"secrets: secretbox a", "secrets: secretbox a, identity", "secrets: identity, secretbox a", "secrets: identity",
		}, "identity", "[secretbox key a]", ""},
		"from plaintext to plaintext": {nil, plain, encryption.Identity, [4]string{}, "", "", "nothing is encrypted"},
		"to the same key":             {conf("secretbox:new"), plain, encryption.Secretbox, [4]string{}, "", "", "there is a key of this name"},
		"a broken file":               {[]byte("resources: ["), plain, encryption.Secretbox, [4]string{}, "", "", "encryption-config.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := rotation.Make(c.current, c.spec, c.provider, key, time.Now())
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("got %v, want %q", err, c.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, stage := range []rotation.Stage{rotation.Before, rotation.Added, rotation.Promoted, rotation.Dropped} {
				if got := shape(t, p.Files[stage]); got != c.want[i] {
					t.Errorf("%s is %q, want %q", stage, got, c.want[i])
				}
			}
			var from []string
			for _, w := range p.From {
				from = append(from, encryption.Describe(w))
			}
			if to := encryption.Describe(p.To); to != c.to || fmt.Sprint(from) != c.from {
				t.Errorf("from %v to %s", from, to)
			}
			if !p.Covers("secrets") || c.to != "identity" && p.Covers("events") {
				t.Errorf("covers secrets: %t, events: %t", p.Covers("secrets"), p.Covers("events"))
			}
		})
	}
}

// Of several that begin at once, one begins, and its plan is whole; a plan that was made from
// another file than the one in force is not begun.
func TestBeginOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, rotation.ConfigName), conf("secretbox:a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rotation.Begin(dir, planOf("secretbox:z", "secretbox:b", time.Now())); err == nil || !strings.Contains(err.Error(), "planned from") {
		t.Errorf("from another file: %v", err)
	}
	var began atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if rotation.Begin(dir, planOf("secretbox:a", fmt.Sprintf("secretbox:%c", 'b'+i), time.Now())) == nil {
				began.Add(1)
			}
		})
	}
	wg.Wait()
	if began.Load() != 1 {
		t.Errorf("%d have begun", began.Load())
	}
	r := &rotation.Rotation{Dir: dir, Now: time.Now}
	if s, err := r.Status(t.Context()); err != nil || s.Stage != rotation.Before {
		t.Errorf("%+v: %v", s, err)
	}
}
