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
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/audit"
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
		fmt.Fprintf(&b, "  - %s: {keys: [{name: %s, secret: %s}]}\n", name, strconv.QuoteToASCII(key), secret)
	}
	return []byte(b.String())
}

func writerOf(provider string) audit.Writer {
	name, key, _ := strings.Cut(provider, ":")
	return audit.Writer{Provider: audit.Provider(name), Key: key}
}

// planOf changes from one provider to another.
func planOf(from, to string, now time.Time) rotation.Plan {
	p := rotation.Plan{
		Created: now, To: writerOf(to), From: []audit.Writer{writerOf(from)},
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

func newSite(t *testing.T, servers int, before []byte, flags ...string) *site {
	t.Helper()
	s := &site{Cluster: kubetest.Start(t, kubetest.Config{Servers: servers, Encryption: before, Flags: flags}), dir: t.TempDir()}
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
	r := &rotation.Rotation{Dir: s.dir, Deliver: s.deliver, Census: s.census, Wait: 2 * time.Minute, Now: time.Now, Narrate: t.Logf}
	for _, server := range s.Servers {
		r.Servers = append(r.Servers, rotation.Server{Name: server.Address, Client: server.Client(t)})
	}
	return r
}

// deliver replaces the file that an API server watches.
func (s *site) deliver(_ context.Context, to rotation.Server, path string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
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
	counts := map[audit.Writer]int64{}
	for _, kv := range got.Kvs {
		w := audit.Writer{Provider: "identity"}
		if rest, sealed := bytes.CutPrefix(kv.Value, []byte("k8s:enc:")); sealed {
			parts := bytes.SplitN(rest, []byte(":"), 4)
			w = audit.Writer{Provider: audit.Provider(parts[0]), Key: string(parts[2])}
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
	rotate(t, "secretbox:a", "secretbox:b")
}

func rotate(t *testing.T, from, to string) {
	t.Helper()
	s := newSite(t, 2, conf(from))
	r := s.rotation(t)
	w := s.startWriter(t)
	if err := rotation.Begin(s.dir, planOf(from, to, time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := run(t, r); err != nil {
		t.Fatal(err)
	}
	written := w.end(t)
	if len(written) == 0 {
		t.Fatal("nothing was written meanwhile")
	}
	s.wantWriter(t, to)
	s.readAll(t, written)
	if _, err := r.Status(t.Context()); !errors.Is(err, rotation.ErrNone) {
		t.Errorf("after the end: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(s.dir, rotation.ConfigName)); err != nil || !bytes.Equal(got, conf(to)) {
		t.Errorf("in force is another configuration: %v", err)
	}
}

// run steps until the rotation is at an end, or fails.
func run(t *testing.T, r *rotation.Rotation) error {
	t.Helper()
	for range 10 {
		done, err := r.Step(t.Context())
		if done || err != nil {
			return err
		}
	}
	return errors.New("there is no end")
}

// What would be lost is refused.
func TestRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, conf("secretbox:a"))
	r := s.rotation(t)
	if _, err := r.Status(t.Context()); !errors.Is(err, rotation.ErrNone) {
		t.Errorf("without a rotation: %v", err)
	}
	if _, err := r.Step(t.Context()); !errors.Is(err, rotation.ErrNone) {
		t.Errorf("without a rotation: %v", err)
	}
	if err := rotation.Begin(s.dir, planOf("secretbox:a", "secretbox:b", time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := rotation.Begin(s.dir, planOf("secretbox:a", "secretbox:c", time.Now())); err == nil || !strings.Contains(err.Error(), "under way already") {
		t.Errorf("a second one: %v", err)
	}
	step := func(want string) {
		t.Helper()
		if _, err := r.Step(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}

	// An object that nobody can read cannot be rewritten.
	if _, err := s.etcd.Put(t.Context(), "/registry/secrets/default/strange", "k8s:enc:secretbox:v1:gone:x"); err != nil {
		t.Fatal(err)
	}
	step("secretbox key gone, which the configuration in force does not read")
	if _, err := s.etcd.Delete(t.Context(), "/registry/secrets/default/strange"); err != nil {
		t.Fatal(err)
	}

	// An API server that nobody named may write with any key.
	lease := fmt.Sprintf(`{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"apiserver-other","labels":{"apiserver.kubernetes.io/identity":"kube-apiserver","kubernetes.io/hostname":"cp-9"}},"spec":{"holderIdentity":"x","leaseDurationSeconds":3600,"renewTime":%q}}`,
		time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"))
	k := s.Servers[0].Client(t)
	const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
	if err := k.Send(t.Context(), http.MethodPost, leases, "application/json", []byte(lease), nil); err != nil {
		t.Fatal(err)
	}
	step("there is an API server on cp-9 that was not asked")
	if err := k.Send(t.Context(), http.MethodDelete, leases+"/apiserver-other", "", nil, nil); err != nil {
		t.Fatal(err)
	}

	// A file that is not of the rotation is on an API server.
	if err := os.WriteFile(s.Servers[0].EncryptionConfig, conf("secretbox:a", "aescbc:z"), 0o600); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		state, err := r.Status(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v: %v", state.Servers, err)
		}
		if state.Servers[0].Stage == "" && state.Servers[0].Hash != "" {
			break
		}
	}
	step("does not belong to this rotation")
}

// While a snapshot needs the old key, it is not dropped.
func TestSnapshotNeedsKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, conf("secretbox:a"))
	r := s.rotation(t)
	needing := []string{"/var/backups/monday.db"}
	r.Snapshots = func(_ context.Context, writers []audit.Writer) ([]string, error) {
		if len(writers) != 1 || writers[0] != writerOf("secretbox:a") {
			t.Errorf("asked for %v", writers)
		}
		return needing, nil
	}
	if err := rotation.Begin(s.dir, planOf("secretbox:a", "secretbox:b", time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := run(t, r); err == nil || !strings.Contains(err.Error(), "monday.db") {
		t.Errorf("got %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(s.dir, rotation.ConfigName)); err != nil || !bytes.Equal(got, conf("secretbox:b", "secretbox:a")) {
		t.Errorf("in force is another configuration: %v", err)
	}
	needing = nil
	if err := run(t, r); err != nil {
		t.Error(err)
	}
}

// A changed file of the plan, or of what is in force, is not taken for a stage.
func TestChangedFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, want string }{
		"a stage":  {"encryption-rotation/promoted.yaml", "was changed since the rotation began"},
		"in force": {rotation.ConfigName, "not a configuration of the rotation"},
		"the plan": {"encryption-rotation/plan.json", "not a plan that this etcdsec knows"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, rotation.ConfigName), conf("secretbox:a"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := rotation.Begin(dir, planOf("secretbox:a", "secretbox:b", time.Now())); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte("{}"), 0o600); err != nil {
				t.Fatal(err)
			}
			r := &rotation.Rotation{Dir: dir, Now: time.Now}
			if _, err := r.Step(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
