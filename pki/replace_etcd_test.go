package pki_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/manifests"
	"github.com/etcdsec/etcdsec/pki"
)

// Three real members run while their issuing CAs are replaced. The bundles are copied to one
// after another, and no member is restarted for it: at each step, with some on the former issuing
// CAs and some on the new ones, every member takes peers and clients of both kinds.
func TestEtcdGoesOnBelowANewIssuingCA(t *testing.T) {
	t.Parallel()
	hosts := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}
	ports, err := etcdtest.FreePortsOn(hosts, 3)
	if err != nil {
		t.Fatal(err)
	}
	now, nodes := time.Now(), t.TempDir()
	spec := fmt.Sprintf("apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: clock}\nspec:\n  etcd:\n    version: \"3.6.16\"\n    runtime: systemd\n"+
		"    clientPort: %d\n    peerPort: %d\n    metricsPort: %d\n    pkiDir: \"%s/{{.Name}}/pki\"\n    dataDir: \"%s/{{.Name}}/data\"\n    members:\n", ports[0], ports[1], ports[2], nodes, nodes)
	for i, host := range hosts {
		spec += fmt.Sprintf("      - {name: etcd-%d, addresses: [%s]}\n", i, host)
	}
	// The issuing CAs are due today; the leaves are a month old.
	s := newSimulation(t, spec, onLine)
	s.apply(now.Add(-245*day), pki.Renewal{}, false, nil)
	s.apply(now.Add(-30*day), pki.Renewal{Due: true}, false, nil)
	c := s.cluster()
	var configs []etcdtest.Config
	for i, m := range c.Etcd.Members {
		node := filepath.Join(nodes, m.Name)
		if err := os.MkdirAll(node, 0o700); err != nil {
			t.Fatal(err)
		}
		files, err := manifests.Member(c, m)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := durable.WriteFile(node, durable.File{Name: path.Base(f.Path), Mode: 0o644, Data: f.Data}, nil); err != nil {
				t.Fatal(err)
			}
		}
		s.copyBundle("nodes/"+m.Name+"/pki", filepath.Join(node, "pki"))
		configs = append(configs, etcdtest.Config{
			Name: m.Name, Version: etcdtest.V3_6, Dir: node, Args: []string{"--config-file=" + filepath.Join(node, "etcd.conf.yaml")},
			HealthURL: fmt.Sprintf("http://%s:%d/health", hosts[i], ports[2]),
		})
	}
	members := etcdtest.Run(t, configs...)

	former := filepath.Join(t.TempDir(), "former")
	s.copyBundle("clients/auditor", former)
	var formerPeers []string
	for _, m := range c.Etcd.Members {
		at := filepath.Join(t.TempDir(), m.Name)
		s.copyBundle("nodes/"+m.Name+"/pki", at)
		formerPeers = append(formerPeers, at)
	}
	before := s.chains()
	result := s.apply(now, pki.Renewal{Due: true}, false, nil)
	replaced := s.replaced(before)
	for _, name := range []string{pki.ServerIssuing, pki.ClientIssuing, pki.PeerIssuing} {
		if !replaced[name] {
			t.Fatalf("%s was not replaced: %+v", name, result.Steps)
		}
	}

	// step looks at every member: the leaf that it serves on both ports, and whom it lets in.
	step := func(copied int) {
		t.Helper()
		for i, host := range hosts {
			bundle := formerPeers[i]
			if i < copied {
				bundle = filepath.Join(s.dir, "nodes", c.Etcd.Members[i].Name, "pki")
			}
			for _, client := range []string{former, filepath.Join(s.dir, "clients", "auditor")} {
				config := tlsOf(t, client, "client", "ca.crt")
				if err := write(t, fmt.Sprintf("%s:%d", host, ports[0]), fmt.Sprint(copied, host), config); err != nil {
					t.Errorf("%d copied: %s, client of %s: %v", copied, host, client, err)
				}
				served(t, fmt.Sprintf("%s:%d", host, ports[0]), config, leafOf(t, bundle, "server.crt"))
			}
			// The sender of each leaf is the member whose it is: a peer is known by its address.
			for from := range hosts {
				for _, peer := range []string{formerPeers[from], filepath.Join(s.dir, "nodes", c.Etcd.Members[from].Name, "pki")} {
					served(t, fmt.Sprintf("%s:%d", host, ports[1]), tlsOf(t, peer, "peer", "peer-ca.crt"), leafOf(t, bundle, "peer.crt"))
				}
			}
		}
	}
	step(0)
	stranger := tlsOf(t, former, "client", "ca.crt")
	stranger.Certificates = newSimulation(t, spec, onLine).stranger(now)
	if _, err := ask(t, fmt.Sprintf("%s:%d", hosts[0], ports[0]), stranger); err == nil {
		t.Error("a client below another root was let in, so that what is seen here shows nothing")
	}
	for i, m := range c.Etcd.Members {
		s.copyBundle("nodes/"+m.Name+"/pki", filepath.Join(nodes, m.Name, "pki"))
		step(i + 1)
		if i == 0 {
			// It dies and comes back on the new bundle, and the two others with theirs of the
			// former issuing CAs take it in: each dials the other.
			members[0].Kill()
			members[0] = etcdtest.Run(t, configs[0])[0]
			step(i + 1)
		}
	}
	for i, m := range members[1:] {
		select {
		case <-m.Done():
			t.Errorf("etcd-%d ended", i+1)
		default:
		}
	}
	// Its peers connect anew, all on new bundles, and none of them was restarted.
	members[0].Kill()
	members[0] = etcdtest.Run(t, configs[0])[0]
	step(3)
}

// stranger returns the certificate of a client of another cluster, of the same name.
func (s *simulation) stranger(now time.Time) []tls.Certificate {
	s.t.Helper()
	s.apply(now, pki.Renewal{}, false, nil)
	return tlsOf(s.t, filepath.Join(s.dir, "clients", "auditor"), "client", "ca.crt").Certificates
}

// copyBundle copies a bundle of the store into a folder, each file in one step.
func (s *simulation) copyBundle(bundle, to string) {
	s.t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		s.t.Fatal(err)
	}
	from := filepath.Join(s.dir, filepath.FromSlash(bundle))
	out, err := exec.CommandContext(s.t.Context(), "cp", "-r", "--remove-destination", from+"/.", to).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
}

// tlsOf is what the holder of a bundle presents and trusts.
func tlsOf(t testing.TB, bundle, pair, ca string) *tls.Config {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(bundle, pair+".crt"), filepath.Join(bundle, pair+".key"))
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := os.ReadFile(filepath.Join(bundle, ca))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(trusted) {
		t.Fatalf("%s/%s has no root", bundle, ca)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, MinVersion: tls.VersionTLS12}
}

func leafOf(t testing.TB, bundle, file string) *x509.Certificate {
	t.Helper()
	certs, err := pki.ReadCertificates(filepath.Join(bundle, file))
	if err != nil {
		t.Fatal(err)
	}
	return certs[0]
}

// served asks a server over a connection of its own, and wants the certificate that it is to have.
func served(t testing.TB, address string, config *tls.Config, want *x509.Certificate) {
	t.Helper()
	got, err := ask(t, address, config)
	if err != nil {
		t.Errorf("%s: %v", address, err)
	} else if !got.Equal(want) {
		t.Errorf("%s serves %s of %q, want %s", address, pki.SerialString(got.SerialNumber), got.Issuer.CommonName, pki.SerialString(want.SerialNumber))
	}
}

// ask asks for /version over a connection of its own, and returns the certificate that is served.
// With TLS 1.3 a client is refused after its own side of the handshake, so it is the answer that
// shows whether it was let in.
func ask(t testing.TB, address string, config *tls.Config) (*x509.Certificate, error) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/version", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return response.TLS.PeerCertificates[0], nil
}

// write writes a key through one member, over a connection of its own.
func write(t testing.TB, endpoint, key string, config *tls.Config) error {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, TLS: config, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = client.Put(ctx, key, endpoint)
	return err
}
