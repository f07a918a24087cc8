package kube_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit/collect/kube"
	"github.com/etcdsec/etcdsec/internal/kubeapi"
)

// clientOf asks a server of the test.
func clientOf(t *testing.T, handler http.HandlerFunc) *kubeapi.Client {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	path := filepath.Join(t.TempDir(), "kubeconfig")
	err := os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: admin
contexts: [{name: admin, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: me, user: {token: t}}]
`, server.URL, base64.StdEncoding.EncodeToString(ca)), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kubeapi.Open(kubeapi.Config{Path: path, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What a server answers in place of a list: each is an error that names it, or bounded.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"an error": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "HTTP status 500"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://192.0.2.1/", http.StatusFound)
		}, "HTTP status 302"},
		"no JSON": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "not JSON"},
		"another kind": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1"}`))
		}, "not JSON of a v1.PodList"},
		"pages for ever": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"kind":"PodList","apiVersion":"v1","metadata":{"continue":"more"},"items":[]}`))
		}, "more than 100 pages"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := kube.Find(t.Context(), clientOf(t, c.answer)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A list over several pages is read whole, with the token, and odd objects are named.
func TestPages(t *testing.T) {
	t.Parallel()
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		kind := "PodList"
		if strings.HasSuffix(r.URL.Path, "/nodes") {
			kind = "NodeList"
		}
		page := map[string]any{"kind": kind, "apiVersion": "v1", "items": []any{}}
		if strings.HasSuffix(r.URL.Path, "/nodes") && r.URL.Query().Get("labelSelector") == "node-role.kubernetes.io/control-plane" {
			name, next := "cp-0", "2"
			if r.URL.Query().Get("continue") == "2" {
				name, next = "cp-1", ""
			}
			page = map[string]any{
				"kind": kind, "apiVersion": "v1", "metadata": map[string]any{"continue": next},
				"items": []any{
					map[string]any{"metadata": map[string]any{"name": name}, "status": map[string]any{"addresses": []any{map[string]any{"type": "InternalIP", "address": "192.0.2.1" + name[3:]}}}},
					map[string]any{"metadata": map[string]any{"name": "odd-" + name}},
				},
			}
		}
		_ = json.NewEncoder(w).Encode(page)
	})
	found, err := kube.Find(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, e := range found.Endpoints {
		addresses = append(addresses, e.Address)
	}
	if len(addresses) != 3 || addresses[0] != "192.0.2.10:10250" || addresses[1] != "192.0.2.11:10250" {
		t.Errorf("got %q", addresses)
	}
	if len(found.Unseen) != 2 || found.Unseen[0].Address != "node odd-cp-0" {
		t.Errorf("got %+v", found.Unseen)
	}
}

// A Pod whose configuration is a file in it does not tell where it listens: the usual ports are tried.
func TestConfigurationInThePod(t *testing.T) {
	t.Parallel()
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		kind, items := "PodList", []any{}
		if strings.HasSuffix(r.URL.Path, "/nodes") {
			kind = "NodeList"
		} else if r.URL.Query().Get("labelSelector") == "component=etcd" {
			items = append(items, map[string]any{
				"metadata": map[string]any{"name": "etcd-cp-0"},
				"spec": map[string]any{"nodeName": "cp-0", "hostNetwork": true, "containers": []any{
					map[string]any{"name": "etcd", "command": []string{"etcd", "--config-file=/etc/etcd/etcd.yaml"}},
				}},
				"status": map[string]any{"hostIP": "192.0.2.10", "phase": "Running"},
			})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind, "apiVersion": "v1", "items": items})
	})
	found, err := kube.Find(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range found.Endpoints[:2] {
		got = append(got, string(e.Kind)+" "+e.Address)
	}
	if strings.Join(got, ", ") != "client 192.0.2.10:2379, peer 192.0.2.10:2380" || len(found.Unseen) != 0 {
		t.Errorf("got %q, unseen %+v", got, found.Unseen)
	}
}
