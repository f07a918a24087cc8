package rotation_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/internal/kubeapi"
	"github.com/etcdsec/etcdsec/internal/kubetest"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
)

// conf is a configuration for Secrets with the providers in their order: "secretbox:a", "identity".
func conf(providers ...string) []byte {
	var b strings.Builder
	b.WriteString("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n")
	for _, p := range providers {
		name, key, _ := strings.Cut(p, ":")
		if name == "identity" {
			b.WriteString("  - identity: {}\n")
			continue
		}
		secret := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(key[:1]), 32))
		fmt.Fprintf(&b, "  - %s: {keys: [{name: %s, secret: %s}]}\n", name, key, secret)
	}
	return []byte(b.String())
}

func writerOf(provider string) rotation.Writer {
	name, key, _ := strings.Cut(provider, ":")
	return rotation.Writer{Provider: name, Key: key}
}

// planOf changes from one provider to another.
func planOf(from, to string, now time.Time) rotation.Plan {
	p := rotation.Plan{
		Created: now, To: writerOf(to), From: []rotation.Writer{writerOf(from)}, Resources: []string{"secrets"},
		Files: map[rotation.Stage][]byte{
			rotation.Before: conf(from), rotation.Added: conf(from, to), rotation.Promoted: conf(to, from), rotation.Dropped: conf(to),
		},
	}
	return p
}

// site is a cluster with the store of an operator beside it.
type site struct {
	*kubetest.Cluster
	dir  string
	etcd *clientv3.Client
}

func newSite(t *testing.T, servers int, before []byte) *site {
	t.Helper()
	s := &site{Cluster: kubetest.Start(t, kubetest.Config{Servers: servers, Encryption: before}), dir: t.TempDir()}
	if before != nil {
		if err := os.WriteFile(filepath.Join(s.dir, rotation.ConfigName), before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
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
	s.etcd, err = clientv3.New(clientv3.Config{Endpoints: []string{"https://" + s.Etcd}, Logger: zap.NewNop(), TLS: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.etcd.Close() })
	return s
}

// rotation is one with everything of the site.
func (s *site) rotation(t *testing.T) *rotation.Rotation {
	t.Helper()
	r := &rotation.Rotation{Dir: s.dir, Deliver: s.deliver, Census: s.census, Wait: 30 * time.Second, Now: time.Now, Narrate: t.Logf}
	for _, server := range s.Servers {
		r.Servers = append(r.Servers, rotation.Server{Name: server.Address, Client: server.Client(t)})
	}
	return r
}

// deliver replaces the file that an API server watches.
func (s *site) deliver(_ context.Context, to rotation.Server, file []byte) error {
	for _, server := range s.Servers {
		if server.Address == to.Name {
			if err := os.WriteFile(server.EncryptionConfig+".new", file, 0o600); err != nil {
				return err
			}
			return os.Rename(server.EncryptionConfig+".new", server.EncryptionConfig)
		}
	}
	return errors.New("no such server")
}

// census reads the prefixes of the stored Secrets.
func (s *site) census(ctx context.Context, _ *rotation.Plan) ([]rotation.Count, error) {
	got, err := s.etcd.Get(ctx, "/registry/secrets/", clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	counts := map[rotation.Writer]int64{}
	for _, kv := range got.Kvs {
		w := rotation.Writer{Provider: "identity"}
		if rest, sealed := bytes.CutPrefix(kv.Value, []byte("k8s:enc:")); sealed {
			parts := bytes.SplitN(rest, []byte(":"), 4)
			w = rotation.Writer{Provider: string(parts[0]), Key: string(parts[2])}
		}
		counts[w]++
	}
	var all []rotation.Count
	for w, n := range counts {
		all = append(all, rotation.Count{Resource: "secrets", Writer: w, Objects: n})
	}
	return all, nil
}

func secretOf(name, value string) []byte {
	return fmt.Appendf(nil, `{"kind":"Secret","apiVersion":"v1","metadata":{"name":%q},"stringData":{"value":%q}}`, name, value)
}

func put(ctx context.Context, k *kubeapi.Client, name, value string) error {
	return k.Send(ctx, http.MethodPost, "/api/v1/namespaces/default/secrets", "application/json", secretOf(name, value), nil)
}

// readAll reads every Secret back through each API server and compares it with what was written.
func (s *site) readAll(t *testing.T, want map[string]string) {
	t.Helper()
	for _, server := range s.Servers {
		var list struct {
			Items []struct {
				Metadata struct{ Name string }
				Data     struct{ Value []byte }
			}
		}
		if err := server.Client(t).Get(t.Context(), "/api/v1/namespaces/default/secrets", url.Values{}, "application/json", &list); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, item := range list.Items {
			got[item.Metadata.Name] = string(item.Data.Value)
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: Secret %s is %q, want %q", server.Address, name, got[name], value)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s has %d Secrets, want %d", server.Address, len(got), len(want))
		}
	}
}

// writer creates Secrets at the API servers in turn until it is stopped.
type writer struct {
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	written map[string]string
	failed  []error
}

func (s *site) startWriter(t *testing.T) *writer {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w := &writer{stop: stop, written: map[string]string{}}
	for i, server := range s.Servers {
		k := server.Client(t)
		w.wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name, value := fmt.Sprintf("w%d-%d", i, n), fmt.Sprintf("value %d of %d", n, i)
				err := put(context.WithoutCancel(ctx), k, name, value)
				w.mu.Lock()
				if err == nil {
					w.written[name] = value
				} else {
					w.failed = append(w.failed, err)
				}
				w.mu.Unlock()
				select {
				case <-ctx.Done():
				case <-time.After(5 * time.Millisecond):
				}
			}
		})
	}
	t.Cleanup(func() { stop(); w.wg.Wait() })
	return w
}

func (w *writer) end(t *testing.T) map[string]string {
	t.Helper()
	w.stop()
	w.wg.Wait()
	if len(w.failed) > 0 {
		t.Errorf("%d writes failed, the first: %v", len(w.failed), w.failed[0])
	}
	return w.written
}

// wantWriter wants every Secret to be of one writer.
func (s *site) wantWriter(t *testing.T, want string) {
	t.Helper()
	counts, err := s.census(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		if c.Writer != writerOf(want) {
			t.Errorf("%d are of %s, want all of %s", c.Objects, c.Writer, want)
		}
	}
}

// A full rotation with two API servers under writers of Secrets loses nothing, and every
// object is on the new key at its end.
func TestRotate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ from, to string }{
		"key":      {"secretbox:a", "secretbox:b"},
		"provider": {"aescbc:a", "aesgcm:b"},
		"enable":   {"identity", "secretbox:b"},
		"disable":  {"secretbox:a", "identity"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 2, conf(c.from))
			r := s.rotation(t)
			w := s.startWriter(t)
			if err := rotation.Begin(s.dir, planOf(c.from, c.to, time.Now())); err != nil {
				t.Fatal(err)
			}
			for steps := 0; ; steps++ {
				done, err := r.Step(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if done {
					if steps != 3 {
						t.Errorf("%d steps", steps)
					}
					break
				}
			}
			written := w.end(t)
			s.wantWriter(t, c.to)
			s.readAll(t, written)
			t.Logf("%d Secrets", len(written))
			if _, err := r.Status(t.Context()); !errors.Is(err, rotation.ErrNone) {
				t.Errorf("after the end: %v", err)
			}
			if got, err := os.ReadFile(filepath.Join(s.dir, rotation.ConfigName)); err != nil || !bytes.Equal(got, conf(c.to)) {
				t.Errorf("in force is %v", err)
			}
		})
	}
}
