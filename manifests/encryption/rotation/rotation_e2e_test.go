//go:build e2e

package rotation_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/etcdsec/etcdsec/internal/kubeapi"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
)

// From one provider to another, and from plaintext and back.
func TestRotateProviders(t *testing.T) {
	for name, c := range map[string]struct{ from, to string }{
		"provider": {"aescbc:a", "aesgcm:b"},
		"enable":   {"identity", "secretbox:b"},
		"disable":  {"secretbox:a", "identity"},
	} {
		t.Run(name, func(t *testing.T) { rotate(t, c.from, c.to) })
	}
}

// A rotation is taken back from each of its stages, with what was written meanwhile by the new key.
func TestAbort(t *testing.T) {
	t.Parallel()
	for steps, name := range []string{"before a step", "added", "promoted", "dropped"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 2, conf("secretbox:a"))
			r := s.rotation(t)
			w := s.startWriter(t)
			if err := rotation.Begin(s.dir, planOf("secretbox:a", "secretbox:b", time.Now())); err != nil {
				t.Fatal(err)
			}
			for range steps {
				if _, err := r.Step(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			want, err := "secretbox:a", rotation.Abort(s.dir)
			if name == "dropped" {
				if err == nil || !strings.Contains(err.Error(), "begin another one") {
					t.Errorf("got %v", err)
				}
				want = "secretbox:b"
			} else if err != nil {
				t.Fatal(err)
			}
			if err := run(t, r); err != nil {
				t.Fatal(err)
			}
			written := w.end(t)
			s.wantWriter(t, want)
			s.readAll(t, written)
			if got, err := os.ReadFile(filepath.Join(s.dir, rotation.ConfigName)); err != nil || !bytes.Equal(got, conf(want)) {
				t.Errorf("in force is another configuration: %v", err)
			}
			// Both keys are kept, for what snapshots hold.
			kept, err := filepath.Glob(filepath.Join(s.dir, "encryption-retired", "*.yaml"))
			if err != nil || len(kept) != 1 {
				t.Fatalf("kept %q: %v", kept, err)
			}
			if info, err := os.Stat(kept[0]); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v %v", kept[0], info.Mode(), err)
			}
		})
	}
}

// While an API server is down, or does not follow, no stage is put into force after the one
// that it has not seen, and everything can be read. When it is back, the rotation goes on.
func TestLaggingServer(t *testing.T) {
	t.Parallel()
	for steps, name := range []string{"before", "added", "promoted", "dropped"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 2, conf("secretbox:a"))
			r := s.rotation(t)
			if err := rotation.Begin(s.dir, planOf("secretbox:a", "secretbox:b", time.Now())); err != nil {
				t.Fatal(err)
			}
			written := map[string]string{"first": "one"}
			if err := put(t.Context(), s.Servers[0].Client(t), "first", "one"); err != nil {
				t.Fatal(err)
			}
			for range steps {
				if _, err := r.Step(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			before, err := os.ReadFile(filepath.Join(s.dir, rotation.ConfigName))
			if err != nil {
				t.Fatal(err)
			}
			s.Servers[1].Kill()
			r.Wait = 3 * time.Second
			if _, err := r.Step(t.Context()); err == nil || !strings.Contains(err.Error(), s.Servers[1].Address) {
				t.Errorf("with an API server down: %v", err)
			}
			if after, err := os.ReadFile(filepath.Join(s.dir, rotation.ConfigName)); err != nil || !bytes.Equal(before, after) {
				t.Errorf("another configuration was put into force: %v", err)
			}
			if err := put(t.Context(), s.Servers[0].Client(t), "meanwhile", "two"); err != nil {
				t.Error(err)
			}
			written["meanwhile"] = "two"
			s.Servers[1].Restart(t)
			s.readAll(t, written)
			r.Wait = 30 * time.Second
			if err := run(t, r); err != nil {
				t.Fatal(err)
			}
			s.wantWriter(t, "secretbox:b")
			s.readAll(t, written)
		})
	}
}

// Where Kubernetes rewrites its objects itself it is asked to, and where nobody works on that,
// they are rewritten from here.
func TestStorageVersionMigration(t *testing.T) {
	t.Parallel()
	for name, working := range map[string]bool{"controller": true, "nobody": false} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 1, conf("secretbox:a"), "--feature-gates=StorageVersionMigrator=true", "--runtime-config=storagemigration.k8s.io/v1beta1=true")
			if working {
				s.StartControllerManager(t, "storage-version-migrator-controller,garbage-collector-controller", "--feature-gates=StorageVersionMigrator=true")
			}
			written := map[string]string{}
			for i := range 50 {
				name := fmt.Sprintf("s%d", i)
				written[name] = "value of " + name
				if err := put(t.Context(), s.Servers[0].Client(t), name, written[name]); err != nil {
					t.Fatal(err)
				}
			}
			r := s.rotation(t)
			var said []string
			r.Narrate = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
			if err := rotation.Begin(s.dir, planOf("secretbox:a", "secretbox:b", time.Now())); err != nil {
				t.Fatal(err)
			}
			if err := run(t, r); err != nil {
				t.Fatal(err)
			}
			s.wantWriter(t, "secretbox:b")
			s.readAll(t, written)
			text := strings.Join(said, "\n")
			if !strings.Contains(text, "kube-controller-manager rewrites secrets") || strings.Contains(text, "nobody works on") == working {
				t.Errorf("said %s", text)
			}
			left := 0
			if err := kubeapi.ListMetadata(t.Context(), s.Servers[0].Client(t), "/apis/storagemigration.k8s.io/v1beta1/storageversionmigrations", 500, func(page *metav1.PartialObjectMetadataList) error {
				left += len(page.Items)
				return nil
			}); err != nil || left > 0 {
				t.Errorf("%d migrations are left: %v", left, err)
			}
		})
	}
}
