//go:build e2e

package rotation_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
	"github.com/etcdsec/etcdsec/audit/census/snapshot"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests/encryption"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
)

// stored takes a census of the running etcd.
func (s *site) stored(t *testing.T, known []audit.Writer) audit.Census {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(s.EtcdFiles.Cert, s.EtcdFiles.Key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(s.EtcdFiles.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	live := census.Live{
		Endpoints: []string{"https://" + s.Etcd}, TLS: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12},
		Layout: census.DefaultLayout(), Known: known, Now: time.Now,
	}
	c, err := live.Census(context.WithoutCancel(t.Context()))
	if err != nil || !c.Complete {
		t.Fatalf("%s: %v", c.Reason, err)
	}
	return c
}

// savedCensus takes a census of a snapshot.
func (s *site) savedCensus(t *testing.T, known []audit.Writer) audit.Census {
	t.Helper()
	r, err := s.etcd.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "snapshot.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := snapshot.Census(t.Context(), path, snapshot.Options{Layout: census.DefaultLayout(), Known: known})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantSecretsBy(t *testing.T, what string, c audit.Census, want audit.Writer, n int) {
	t.Helper()
	for _, r := range c.Resources {
		if r.Resource != "secrets" {
			continue
		}
		if len(r.Writers) != 1 || r.Writers[0].Writer != want || r.Writers[0].Objects != int64(n) || r.Plaintext+r.Broken > 0 {
			t.Errorf("%s: %+v, want %d by %s", what, r.Writers, n, want)
		}
		return
	}
	t.Errorf("%s: no Secrets", what)
}

// A key whose name holds colons, or what no terminal shows, is named as a whole, by a census of the running etcd and by one
// of a snapshot, with the configuration and without it; and it is rotated away to the end.
func TestRotateForeignName(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{"secretbox:a:b", "aescbc:aescbckey-2024-05-01T12:00:00Z", "secretbox:a\nb", "aescbc:\u202eb"} {
		t.Run(provider, func(t *testing.T) {
			s := newSite(t, 2, conf(provider))
			old := writerOf(provider)
			written := map[string]string{}
			for i := range 20 {
				name := fmt.Sprintf("s%d", i)
				written[name] = "value of " + name
				if err := put(t.Context(), s.Servers[i%2].Client(t), name, written[name]); err != nil {
					t.Fatal(err)
				}
			}
			ways := map[string][]audit.Writer{"by its pattern": nil, "known": {old}}
			if strings.Contains(old.Key, "\n") {
				delete(ways, "by its pattern") // which has no control characters
			}
			for what, known := range ways {
				wantSecretsBy(t, what, s.stored(t, known), old, len(written))
				wantSecretsBy(t, what+", in a snapshot", s.savedCensus(t, known), old, len(written))
			}

			spec, err := cluster.Read("spec", strings.NewReader(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: test}
spec:
  etcd: {version: "3.6.16", members: [{name: etcd-0, addresses: [127.0.0.1]}]}
  encryption: {resources: [secrets]}
`))
			if err != nil {
				t.Fatal(err)
			}
			key, err := encryption.GenerateKey(rand.Reader, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			plan, err := rotation.Make(conf(provider), spec, encryption.Secretbox, key, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.From) != 1 || plan.From[0] != old {
				t.Fatalf("from %v", plan.From)
			}
			if err := rotation.Begin(s.dir, plan); err != nil {
				t.Fatal(err)
			}
			r := s.rotation(t)
			r.Census = func(_ context.Context, p *rotation.Plan) ([]rotation.Count, error) {
				return p.Counts(s.stored(t, p.Known())), nil
			}
			asked := false
			r.Snapshots = func(_ context.Context, writers []audit.Writer) ([]string, error) {
				if c := s.savedCensus(t, writers); !asked && !c.HasAnyOf([]audit.Writer{plan.To}) {
					return nil, errors.New("the snapshot does not need the new key")
				}
				asked = true
				return nil, nil
			}
			if err := run(t, r); err != nil {
				t.Fatal(err)
			}
			wantSecretsBy(t, "after the rotation", s.stored(t, nil), plan.To, len(written))
			s.readAll(t, written)
			file, err := os.ReadFile(filepath.Join(s.dir, rotation.ConfigName))
			if err != nil {
				t.Fatal(err)
			}
			inForce, err := encryption.Parse("in force", file, encryption.Server{Reload: true})
			if err != nil || !slices.Equal(inForce.Writers(), []audit.Writer{plan.To}) {
				t.Errorf("in force are %v, %v", inForce, err)
			}
		})
	}
}
