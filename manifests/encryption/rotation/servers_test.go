package rotation_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/kubeapi"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// The API servers are those that were given, or else those of the spec; each is asked at its own
// address.
func TestServers(t *testing.T) {
	t.Parallel()
	ca, err := throwaway.New(throwaway.Config{CommonName: "ca", NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "kubeconfig")
	err = os.WriteFile(config, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: admin
contexts: [{name: admin, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "https://10.0.0.20:6443", certificate-authority-data: %s}}]
users: [{name: me, user: {token: t}}]
`, base64.StdEncoding.EncodeToString(ca.CertPEM())), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubeapi.Open(kubeapi.Config{Path: config, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	const none = "apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: prod}\nspec:\n  etcd:\n    version: \"3.6.16\"\n    members:\n      - {name: etcd-0, addresses: [10.0.0.11]}\n"
	const two = none + "  apiServers: [{name: cp-0, addresses: [10.0.0.11, 10.9.0.11]}, {name: cp-1, addresses: [\"fd00::12\"]}]\n"
	for name, c := range map[string]struct {
		spec    string
		written []string
		want    string // the servers, or the error
	}{
		"of the spec":    {two, nil, "cp-0=10.0.0.11:6443 cp-1=[fd00::12]:6443"},
		"given":          {two, []string{"a=10.1.0.1:6443", "b=api.example:443"}, "a=10.1.0.1:6443 b=api.example:443"},
		"none":           {none, nil, "spec.apiServers is empty"},
		"without a name": {two, []string{"10.1.0.1:6443"}, `--apiserver "10.1.0.1:6443": want NAME=HOST:PORT`},
		"without a port": {two, []string{"a=10.1.0.1"}, `--apiserver "a=10.1.0.1": want NAME=HOST:PORT`},
		"name twice":     {two, []string{"a=10.1.0.1:6443", "a=10.1.0.2:6443"}, `--apiserver "a=10.1.0.2:6443": its name or address is given twice`},
		"address twice":  {two, []string{"a=10.1.0.1:6443", "b=10.1.0.1:6443"}, `--apiserver "b=10.1.0.1:6443": its name or address is given twice`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec, err := cluster.Read("cluster.yaml", strings.NewReader(c.spec))
			if err != nil {
				t.Fatal(err)
			}
			servers, err := rotation.Servers(c.written, spec, 6443, client)
			var got []string
			for _, s := range servers {
				got = append(got, fmt.Sprintf("%s=%s", s.Name, s.Client.Host()))
			}
			if text := strings.Join(got, " "); err == nil && text != c.want || err != nil && (!strings.HasPrefix(err.Error(), c.want) || servers != nil) {
				t.Errorf("got %s, %v, want %s", text, err, c.want)
			}
		})
	}
}

// A file of this machine belongs to an API server that is asked.
func TestLocalFiles(t *testing.T) {
	t.Parallel()
	servers := []rotation.Server{{Name: "cp-0"}, {Name: "cp-1"}}
	got, err := rotation.LocalFiles([]string{"cp-1=/etc/a=b.yaml"}, servers)
	if err != nil || !maps.Equal(got, map[string]string{"cp-1": "/etc/a=b.yaml"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"cp-1", "cp-1=", "cp-2=/etc/x"} {
		if _, err := rotation.LocalFiles([]string{bad}, servers); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("--install %q: want NAME=FILE", bad)) {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}
