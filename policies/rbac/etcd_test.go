package rbac

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// everyRole has a client of each role, and one of role root under another name than root.
const everyRole = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: "VERSION"
    members: [{name: m0, addresses: [127.0.0.1]}]
  clients:
    - {name: backup, role: backup}
    - {name: prometheus, role: monitoring}
    - {name: alice, role: root}
  rbac: {compaction: etcd}
`

func specOf(t testing.TB, version string) *cluster.Cluster {
	t.Helper()
	return parse(t, strings.Replace(everyRole, "VERSION", version, 1))
}

func parse(t testing.TB, spec string) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Read("cluster.yaml", strings.NewReader(spec))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// servers is a real cluster of etcd that asks clients for certificates.
type servers struct {
	endpoints []string
	members   []*etcdtest.Member
	initial   []string // as of --initial-cluster
	tls       []string // the flags of the client port
	ca        *throwaway.CA
	roots     *x509.CertPool
}

// start starts members of a release each.
func start(t testing.TB, versions ...string) *servers {
	t.Helper()
	return startWith(t, []string{"--client-cert-auth"}, versions...)
}

// startNameless starts members that demand a certificate and ignore the name in it.
func startNameless(t testing.TB, versions ...string) *servers {
	t.Helper()
	return startWith(t, []string{}, versions...)
}

// startOpen starts members that ask for no certificate.
func startOpen(t testing.TB, versions ...string) *servers {
	t.Helper()
	return startWith(t, nil, versions...)
}

// startWith starts members that demand certificates, with more flags for these, unless mutual is nil.
func startWith(t testing.TB, mutual []string, versions ...string) *servers {
	t.Helper()
	now := time.Now()
	ca, err := throwaway.New(throwaway.Config{CommonName: "etcd", NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	s := &servers{ca: ca, roots: x509.NewCertPool()}
	s.roots.AppendCertsFromPEM(ca.CertPEM())
	dir := t.TempDir()
	caPath, certPath, keyPath := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	certPEM, keyPEM := pemOf(t, s.leaf(t, "server"))
	for path, data := range map[string][]byte{caPath: ca.CertPEM(), certPath: certPEM, keyPath: keyPEM} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.tls = []string{"--cert-file=" + certPath, "--key-file=" + keyPath}
	if mutual != nil {
		s.tls = slices.Concat(s.tls, []string{"--trusted-ca-file=" + caPath}, mutual)
	}
	ports := etcdtest.FreePorts(t, 3*len(versions))
	var configs []etcdtest.Config
	for i, version := range versions {
		configs = append(configs, s.plan(t, fmt.Sprintf("m%d", i), version, ports[3*i:]))
	}
	for i := range configs {
		configs[i].Args = append(configs[i].Args, "--initial-cluster="+strings.Join(s.initial, ","))
	}
	s.members = etcdtest.Run(t, configs...)
	return s
}

// plan adds a member to the cluster, and returns how to start it.
func (s *servers) plan(t testing.TB, name, version string, ports []int) etcdtest.Config {
	t.Helper()
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	client, peer, metrics := at(0), at(1), at(2)
	s.endpoints = append(s.endpoints, client)
	s.initial = append(s.initial, name+"=http://"+peer)
	return etcdtest.Config{
		Name: name, Version: version, HealthURL: "http://" + metrics + "/health",
		Args: append([]string{
			"--name=" + name, "--data-dir=" + t.TempDir(),
			"--listen-client-urls=https://" + client, "--advertise-client-urls=https://" + client,
			"--listen-peer-urls=http://" + peer, "--initial-advertise-peer-urls=http://" + peer, "--listen-metrics-urls=http://" + metrics,
		}, s.tls...),
	}
}

// addLearner adds a learner that is not among the endpoints of s, and starts it.
func (s *servers) addLearner(t *testing.T, version string) (endpoint string, id uint64) {
	t.Helper()
	grown := *s
	config := grown.plan(t, "learner", version, etcdtest.FreePorts(t, 3))
	_, peer, _ := strings.Cut(grown.initial[len(grown.initial)-1], "=")
	added, err := s.dial(t, "alice").MemberAddAsLearner(t.Context(), []string{peer})
	if err != nil {
		t.Fatal(err)
	}
	config.Args = append(config.Args, "--initial-cluster="+strings.Join(grown.initial, ","), "--initial-cluster-state=existing")
	config.HealthURL += "?serializable=true" // a learner answers no other read
	etcdtest.Run(t, config)
	return grown.endpoints[len(grown.endpoints)-1], added.Member.ID
}

func (s *servers) leaf(t testing.TB, name string) tls.Certificate {
	t.Helper()
	leaf, err := s.ca.Leaf(throwaway.Leaf{
		CommonName: name, IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
		EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Leaf, err = x509.ParseCertificate(leaf.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	return leaf
}

// holder presents a new certificate with a CN.
func (s *servers) holder(t testing.TB, name string) Client {
	t.Helper()
	leaf := s.leaf(t, name)
	return Client{Source: name + ".crt", Certificate: &leaf}
}

// live is the cluster with alice, who has role root, as its administrator.
func (s *servers) live(t testing.TB) *Live {
	t.Helper()
	return &Live{Endpoints: s.endpoints, Roots: s.roots, Admin: s.holder(t, "alice"), Narrate: t.Logf}
}

// clients hold a certificate for every user of a plan.
func (s *servers) clients(t testing.TB, p Plan) []Client {
	t.Helper()
	var all []Client
	for _, user := range p.Users {
		all = append(all, s.holder(t, user.Name))
	}
	return all
}

// dial is etcd's own client with a certificate of that CN.
func (s *servers) dial(t testing.TB, name string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{
		Endpoints: s.endpoints, DialTimeout: time.Minute, Logger: zap.NewNop(),
		TLS: &tls.Config{RootCAs: s.roots, Certificates: []tls.Certificate{s.leaf(t, name)}, MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func planOf(t testing.TB, c *cluster.Cluster, version string) (Plan, error) {
	t.Helper()
	v, err := cluster.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	return NewPlan(c, v, "")
}
