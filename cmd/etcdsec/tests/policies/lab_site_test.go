package policies_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

const labSpec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: lab}
spec:
  etcd:
    version: "3.6.16"
    runtime: systemd
    pkiDir: "DIR/store/nodes/{{.Name}}/pki"
    dataDir: "DIR/data/{{.Name}}"
    members:
      - {name: etcd-0, addresses: [10.0.0.11, "fd00::11"]}
      - {name: etcd-1, addresses: [10.0.0.12, "fd00::12"]}
      - {name: etcd-2, addresses: [10.0.0.13, "fd00::13"]}
      - {name: etcd-3, addresses: [10.0.0.14, "fd00::14"], joining: true}
  apiServers:
    - {name: cp-0, addresses: [10.0.0.11, "fd00::11"]}
    - {name: cp-1, addresses: [10.0.0.12, "fd00::12"]}
    - {name: cp-2, addresses: [10.0.0.13, "fd00::13"]}
    - {name: api, addresses: [10.0.0.21, "fd00::21"]}
  isolation:
    backends: [nftables]
    scrapers: [10.0.0.40/32, "fd00::40/128", 10.244.4.2/32, "fd00:244:4::2/128"]
    backups: [10.0.0.50/32, "fd00::50/128"]
    podCIDRs: [10.244.0.0/16, "fd00:244::/32"]
    nodeCIDRs: [10.0.0.0/26]
    podAddresses: routed
`

// policiesSite is the laboratory with a real etcd.
type policiesSite struct {
	laboratory
	dir, spec string
	intent    *policies.Intent
	members   []*etcdtest.Member
}

func newPoliciesSite(t *testing.T) *policiesSite {
	t.Helper()
	s := &policiesSite{dir: t.TempDir()}
	s.spec = filepath.Join(s.dir, "cluster.yaml")
	clitest.WriteFile(t, s.spec, []byte(strings.ReplaceAll(labSpec, "DIR", s.dir)))
	c, err := cluster.Load(s.spec)
	if err != nil {
		t.Fatal(err)
	}
	if s.intent, err = policies.NewIntent(c); err != nil {
		t.Fatal(err)
	}
	base := baseSpace(t)
	for _, h := range []struct {
		name string
		n    int
	}{
		{"cp-0", 11}, {"cp-1", 12}, {"cp-2", 13}, {"joining", 14}, {"api", 21}, {"worker", 31}, {"node", 32},
		{"scraper", 40}, {"backup", 50}, {"outsider", 200},
	} {
		s.addHost(t, base, h.name, h.n)
	}
	s.addPod(t, "pod-cp", s.host("cp-0"), 1, true)
	s.addPod(t, "pod-worker", s.host("worker"), 2, true)
	s.addPod(t, "pod-routed", s.host("node"), 3, false)
	s.addPod(t, "pod-scraper", s.host("node"), 4, false)
	s.addPod(t, "pod-cp-routed", s.host("cp-1"), 5, false)
	return s
}

var metricsLine = regexp.MustCompile(`(?m)^listen-metrics-urls: .*127\.0\.0\.1:2381.*$`)

// startEtcd starts the members with the files of bootstrap. Only their metrics listen on every address
// here, so that only the rules protect them.
func (s *policiesSite) startEtcd(t *testing.T) {
	t.Helper()
	clitest.Expect(t, 0, "bootstrap", "-f", s.spec, filepath.Join(s.dir, "store"))
	binary, err := etcdtest.Binary(t.Context(), etcdtest.V3_6, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	var configs []etcdtest.Config
	for n := range 3 {
		name := fmt.Sprintf("etcd-%d", n)
		path := filepath.Join(s.dir, "store", "nodes", name, "etcd.conf.yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		open := metricsLine.ReplaceAllString(string(text), "listen-metrics-urls: http://[::]:2381")
		if open == string(text) {
			t.Fatalf("%s does not listen where it did: %s", name, text)
		}
		path = filepath.Join(s.dir, name+".yaml")
		clitest.WriteFile(t, path, []byte(open))
		configs = append(configs, etcdtest.Config{
			Name: name, Program: "/usr/bin/nsenter", Args: []string{"--net=" + s.hosts[n].path(), binary, "--config-file=" + path},
			HealthURL: fmt.Sprintf("http://10.0.0.%d:2381/health", 11+n),
		})
	}
	s.members = etcdtest.Run(t, configs...)
	// The one that joins is no etcd yet, only its ports.
	for _, port := range s.intent.Ports.All() {
		s.host("joining").listen(t, fmt.Sprintf("[::]:%d", port))
	}
}

// rulesOf returns the rules for a host, or nil.
func (s *policiesSite) rulesOf(h *labHost) *nft.Ruleset {
	switch h.name {
	case "cp-0", "cp-1", "cp-2", "joining":
		return policies.Nftables(s.intent)
	case "api", "worker", "node":
		return policies.NftablesForward(s.intent)
	}
	return nil
}

func (s *policiesSite) load(t *testing.T) {
	t.Helper()
	for _, h := range s.hosts {
		if r := s.rulesOf(h); r != nil {
			h.run(t, string(r.Text()), "nft", "-f", "-")
		}
		h.rules = h.ruleset(t) // with those of others, as of the Pods' network
	}
}

// write writes a key through one member, from the host of an API server.
func (s *policiesSite) write(t *testing.T, member int, patience time.Duration) error {
	t.Helper()
	dir := filepath.Join(s.dir, "store", "clients", "kube-apiserver")
	config := clientTLS(t, filepath.Join(dir, "ca.crt"), filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key"))
	api := s.host("api")
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"https://" + net.JoinHostPort(s.hosts[member].addrs[0].String(), "2379")}, TLS: config, Context: t.Context(),
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(api.dial)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = client.Put(ctx, fmt.Sprintf("lab/%d", member), time.Now().String())
	return err
}

func (s *policiesSite) quorum(t *testing.T) {
	t.Helper()
	for member := range 3 {
		if err := s.write(t, member, 2*time.Minute); err != nil {
			t.Errorf("writing through etcd-%d: %v", member, err)
		}
	}
}

func clientTLS(t *testing.T, ca, cert, key string) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		t.Fatalf("%s has no certificates", ca)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12}
}
