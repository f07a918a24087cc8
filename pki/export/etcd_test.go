package export

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// Three real members run on what their archives were unpacked to, and serve clients that
// have nothing but what was exported for them.
func TestEtcdLoadsExports(t *testing.T) {
	t.Parallel()
	hosts := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}
	ports, err := etcdtest.FreePortsOn(hosts, 3)
	if err != nil {
		t.Fatal(err)
	}
	nodes, now := t.TempDir(), time.Now()
	members := "\n"
	for i, host := range hosts {
		members += fmt.Sprintf("      - {name: etcd-%d, addresses: [%s]}\n", i, host)
	}
	dir := bootstrap(t, members, fmt.Sprintf("    clientPort: %d\n    peerPort: %d\n    metricsPort: %d\n    pkiDir: \"%s/{{.Name}}/pki\"\n    dataDir: \"%s/{{.Name}}/data\"\n",
		ports[0], ports[1], ports[2], nodes, nodes), now)
	store := open(t, dir)
	var configs []etcdtest.Config
	for i, m := range store.Cluster.Etcd.Members {
		node, err := store.Node(m.Name, now)
		if err != nil {
			t.Fatal(err)
		}
		archive, err := node.Tar(nil)
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(nodes, m.Name)
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		unpack(t, archive, at)
		configs = append(configs, etcdtest.Config{
			Name: m.Name, Version: etcdtest.V3_7, Dir: at, Args: []string{"--config-file=" + filepath.Join(at, "etcd.conf.yaml")},
			HealthURL: fmt.Sprintf("http://%s:%d/health", hosts[i], ports[2]),
		})
	}
	etcdtest.Run(t, configs...)

	l, err := readErr(t, store, "auditor", now)
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string]*tls.Config{"PKCS #12": configOfPKCS12(t, l)}
	for _, style := range Styles() {
		clients[string(style)] = configOfSecret(t, l, style)
	}
	for name, config := range clients {
		for _, host := range hosts {
			if err := put(t, fmt.Sprintf("%s:%d", host, ports[0]), name, config); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	refused(t, fmt.Sprintf("%s:%d", hosts[0], ports[0]), &tls.Config{RootCAs: clients["tls"].RootCAs, MinVersion: tls.VersionTLS13})
}

// refused wants a client that has only the roots to be told that it needs a certificate,
// which with TLS 1.3 is said after its own side of the handshake is done.
func refused(t *testing.T, endpoint string, config *tls.Config) {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", endpoint, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("a client without a certificate: %v", err)
	}
}

func configOfSecret(t *testing.T, l Leaf, style Style) *tls.Config {
	t.Helper()
	f, err := Secret(l, style, "auditor", "kube-system")
	if err != nil {
		t.Fatal(err)
	}
	form, data := style.shape(), decodeSecret(t, f).Data
	pair, err := tls.X509KeyPair(data[form.cert], data[form.key])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data[form.ca]) {
		t.Fatal("no root")
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}
}

func configOfPKCS12(t *testing.T, l Leaf) *tls.Config {
	t.Helper()
	data, err := PKCS12(l, password)
	if err != nil {
		t.Fatal(err)
	}
	key, cert, authorities, err := pkcs12.DecodeChain(data, password)
	if err != nil {
		t.Fatal(err)
	}
	pair, roots := tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key.(crypto.Signer)}, x509.NewCertPool()
	for _, c := range authorities {
		if c.CheckSignatureFrom(c) == nil {
			roots.AddCert(c)
			continue
		}
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}
}

func put(t *testing.T, endpoint, key string, config *tls.Config) error {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, TLS: config, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = client.Put(ctx, key, endpoint)
	return err
}
