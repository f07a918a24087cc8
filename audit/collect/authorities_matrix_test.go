package collect_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// auditCluster returns what the checks of the cluster as a whole say: the verdict, and the codes
// of a fail or the evidence of the others. There must be one cluster.
func auditCluster(t *testing.T, endpoints []collect.Endpoint, credentials collect.Credentials) map[string]string {
	t.Helper()
	targets, err := collect.Collect(t.Context(), endpoints, collect.Config{Timeout: time.Minute, Credentials: credentials, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	clusters := audit.Clusters(targets)
	if len(clusters) != 1 || len(clusters[0].Listeners) != len(endpoints) {
		t.Fatalf("%d clusters of %d endpoints", len(clusters), len(endpoints))
	}
	said := map[string]string{}
	for _, r := range audit.Run(catalog.All(), audit.Targets(clusters)).Results {
		detail := r.Evidence
		if r.Verdict == audit.Fail {
			detail = strings.Join(r.Codes, ",") + ": " + r.Evidence
		}
		said[r.CheckID] = string(r.Verdict) + " " + detail
	}
	return said
}

func expect(t *testing.T, said, want map[string]string) {
	t.Helper()
	for id, start := range want {
		verdict, part, _ := strings.Cut(start, " ")
		if !strings.HasPrefix(said[id], verdict+" ") || !strings.Contains(said[id], part) {
			t.Errorf("%s: %q, want %q", id, said[id], start)
		}
	}
}

// kubernetesPort stands for a kube-apiserver or a kubelet: a Go TLS server that asks for a
// certificate of some CAs without requiring one, which is what both are (k8s.io/apiserver
// pkg/server/secure_serving.go, kubernetes pkg/kubelet/server/server.go). The real ones are
// not started here. No CAs is a kubelet without --client-ca-file, which asks for none.
func kubernetesPort(t *testing.T, kind audit.Kind, trusted ...*throwaway.CA) collect.Endpoint {
	t.Helper()
	serving := newLeaf(t, newCA(t, "serving", time.Now()), named(throwaway.Leaf{}))
	config := &tls.Config{Certificates: []tls.Certificate{serving}}
	if len(trusted) > 0 {
		config.ClientAuth, config.ClientCAs = tls.RequestClientCert, x509.NewCertPool()
		for _, ca := range trusted {
			config.ClientCAs.AddCert(ca.Certificate())
		}
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = config
	server.StartTLS()
	t.Cleanup(server.Close)
	return collect.Endpoint{Address: server.Listener.Addr().String(), Kind: kind}
}

// A real cluster of three members beside what stands for Kubernetes' ports.
func TestUniqueCA(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	etcd := startThree(t, s)
	now := time.Now()
	kubernetes, proxy := newCA(t, "kubernetes", now), newCA(t, "front-proxy-ca", now)
	silent := startFaulty(t, func(s *faultyServer, c net.Conn) { s.untilGone(c) })
	defer silent.stop()
	for _, c := range []struct {
		name   string
		others []collect.Endpoint
		want   string
	}{
		{"nobody to compare with", nil, "skip --apiserver"},
		{"of its own", []collect.Endpoint{kubernetesPort(t, audit.APIServer, kubernetes, proxy), kubernetesPort(t, audit.Kubelet, kubernetes)}, `pass Kubernetes "CN=kubernetes", "CN=front-proxy-ca"`},
		{"the API server's", []collect.Endpoint{kubernetesPort(t, audit.APIServer, s.clientCA, proxy)}, "fail client-apiserver: "},
		{"the kubelet's among the peers", []collect.Endpoint{kubernetesPort(t, audit.APIServer, kubernetes), kubernetesPort(t, audit.Kubelet, s.peerCA)}, "fail peer-kubelet: "},
		{"a kubelet that asks for none", []collect.Endpoint{kubernetesPort(t, audit.Kubelet)}, "pass ask for no client certificate"},
		{"a silent API server", []collect.Endpoint{{Address: silent.address, Kind: audit.APIServer}}, "unknown no answer within"},
		{"no API server", []collect.Endpoint{{Address: address(etcdtest.FreePort(t)), Kind: audit.APIServer}}, "unknown connection refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := auditCluster(t, slices.Concat(etcd, c.others), s.credentials())
			expect(t, said, map[string]string{
				"ca-unique": c.want,
				// The three have the same files, and trust the same CAs.
				"cert-shared-key": "fail members: ", "ca-stale": "pass ", "ca-name-collision": "pass ",
			})
		})
	}
	t.Run("without credentials", func(t *testing.T) {
		said := auditCluster(t, append(etcd, kubernetesPort(t, audit.APIServer, s.clientCA)), collect.Credentials{})
		expect(t, said, map[string]string{
			"ca-unique": "fail client-apiserver: ", "ca-stale": "pass ", "ca-name-collision": "pass ",
			"cert-shared-key": "unknown may belong to one member",
		})
	})
}
