// Package kubetest starts real kube-apiservers on a real etcd, for tests.
package kubetest

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/kubeapi"
	"github.com/etcdsec/etcdsec/internal/oracle"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// Token is the token of the administrator, for every API server of a test.
const Token = "kubetest-administrator"

// Cluster is an etcd and the API servers that store their objects in it.
type Cluster struct {
	Etcd       string // host:port of the client port
	EtcdFiles  Files  // of a client of etcd
	Servers    []*Server
	Kubeconfig string // of the first server, as an administrator
	// DataDir is etcd's data dir.
	DataDir string

	etcd    *etcdtest.Member
	etcdCA  *throwaway.CA
	kubeCA  *throwaway.CA
	dir     string
	program string
	own     Files
}

// Files has the paths of a certificate, its key, and the CAs of the other side.
type Files struct{ CA, Cert, Key string }

// Server is a kube-apiserver.
type Server struct {
	Address string // host:port
	// EncryptionConfig is the path of the encryption configuration of the server. Without the file,
	// the server starts without encryption.
	EncryptionConfig string
	// LogPath has the output of the server, also from before a restart.
	LogPath string

	cluster *Cluster
	flags   []string
	member  *etcdtest.Member
}

// Config describes what to start.
type Config struct {
	Servers     int
	EtcdVersion string
	EtcdFlags   []string // of etcd, in addition to the usual ones
	// EtcdUser is the CN of the servers' certificate for etcd; etcd-client if empty.
	EtcdUser string
	// Encryption is the encryption configuration of the servers at their start; empty means none.
	Encryption []byte
	Flags      []string // of each server, in addition to the usual ones
}

// Start starts etcd and the API servers, and waits until they are ready.
func Start(t testing.TB, config Config) *Cluster {
	t.Helper()
	program, err := oracle.Binary(t.Context(), "kube-apiserver", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := &Cluster{program: program, dir: dir, DataDir: filepath.Join(dir, "data"), etcdCA: newCA(t, "etcd"), kubeCA: newCA(t, "kubernetes")}
	server := c.EtcdClient(t, "etcd-server")
	c.EtcdFiles, c.own = c.EtcdClient(t, cmp.Or(config.EtcdUser, "etcd-client")), writeLeaf(t, dir, "kubernetes", "kube-apiserver", c.kubeCA)

	ports := etcdtest.FreePorts(t, 3+config.Servers)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	c.Etcd = at(0)
	c.etcd = etcdtest.Run(t, etcdtest.Config{
		Name: "etcd", Version: config.EtcdVersion, HealthURL: "http://" + at(2) + "/health",
		Args: append([]string{
			"--name=m0", "--data-dir=" + c.DataDir, "--initial-cluster=m0=http://" + at(1),
			"--listen-client-urls=https://" + c.Etcd, "--advertise-client-urls=https://" + c.Etcd,
			"--cert-file=" + server.Cert, "--key-file=" + server.Key, "--trusted-ca-file=" + server.CA, "--client-cert-auth",
			"--listen-peer-urls=http://" + at(1), "--initial-advertise-peer-urls=http://" + at(1), "--listen-metrics-urls=http://" + at(2),
		}, config.EtcdFlags...),
	})[0]

	tokens := filepath.Join(dir, "tokens.csv")
	write(t, tokens, []byte(Token+`,admin,1,"system:masters"`+"\n"))
	for i := range config.Servers {
		s := &Server{Address: at(3 + i), EncryptionConfig: filepath.Join(dir, fmt.Sprintf("api-%d", i), "encryption-config.yaml"), cluster: c}
		s.LogPath = filepath.Join(filepath.Dir(s.EncryptionConfig), "log")
		if err := os.Mkdir(filepath.Dir(s.EncryptionConfig), 0o700); err != nil {
			t.Fatal(err)
		}
		if len(config.Encryption) > 0 {
			write(t, s.EncryptionConfig, config.Encryption)
		}
		s.flags = append([]string{
			"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[3+i]), "--advertise-address=10.99.0.1", "--endpoint-reconciler-type=none",
			"--etcd-servers=https://" + c.Etcd, "--etcd-cafile=" + c.EtcdFiles.CA, "--etcd-certfile=" + c.EtcdFiles.Cert, "--etcd-keyfile=" + c.EtcdFiles.Key,
			"--tls-cert-file=" + c.own.Cert, "--tls-private-key-file=" + c.own.Key, "--client-ca-file=" + c.own.CA,
			"--token-auth-file=" + tokens, "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
			"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + c.own.Key, "--service-account-signing-key-file=" + c.own.Key,
			"--service-cluster-ip-range=10.96.0.0/16",
		}, config.Flags...)
		c.Servers = append(c.Servers, s)
	}
	var starting []etcdtest.Config
	for _, s := range c.Servers {
		starting = append(starting, s.config(t))
	}
	for i, member := range etcdtest.Run(t, starting...) {
		c.Servers[i].member = member
	}
	c.Kubeconfig = filepath.Join(dir, "kubeconfig")
	write(t, c.Kubeconfig, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: admin}}]
clusters: [{name: test, cluster: {server: "https://%s", certificate-authority: %q}}]
users: [{name: admin, user: {token: %s}}]
`, c.Servers[0].Address, c.own.CA, Token))
	return c
}

// config returns the configuration that starts the server with the current encryption configuration.
func (s *Server) config(t testing.TB) etcdtest.Config {
	t.Helper()
	flags := s.flags
	if _, err := os.Stat(s.EncryptionConfig); err == nil {
		flags = append(slices.Clip(flags), "--encryption-provider-config="+s.EncryptionConfig, "--encryption-provider-config-automatic-reload=true")
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(read(t, s.cluster.own.CA))
	return etcdtest.Config{
		Name: "kube-apiserver " + s.Address, Program: s.cluster.program, Args: flags, LogPath: s.LogPath,
		HealthURL: "https://" + s.Address + "/readyz", HealthTLS: &tls.Config{RootCAs: pool},
		Env: []string{"KUBE_APISERVER_RELOAD_POLL=500ms"}, // in place of a minute
	}
}

// Kill ends the server as a crash would.
func (s *Server) Kill() { s.member.Kill() }

// Restart starts the server with the current encryption configuration, and waits until it is ready.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Kill()
	s.member = etcdtest.Run(t, s.config(t))[0]
}

// Client returns a client of the server for an administrator.
func (s *Server) Client(t testing.TB) *kubeapi.Client {
	t.Helper()
	c, err := kubeapi.Open(kubeapi.Config{Path: s.cluster.Kubeconfig, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	at, err := c.At(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// EtcdClient issues the certificate of an etcd user.
func (c *Cluster) EtcdClient(t testing.TB, name string) Files {
	t.Helper()
	return writeLeaf(t, c.dir, "etcd-"+name, name, c.etcdCA)
}

// User issues the certificate of a Kubernetes user. Its CA also issued the certificates of the API
// servers.
func (c *Cluster) User(t testing.TB, name string) Files {
	t.Helper()
	return writeLeaf(t, c.dir, "user-"+name, name, c.kubeCA)
}

func newCA(t testing.TB, name string) *throwaway.CA {
	t.Helper()
	now := time.Now() //nolint:forbidigo // servers that are started now are asked now
	ca, err := throwaway.New(throwaway.Config{CommonName: name, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func writeLeaf(t testing.TB, dir, file, name string, ca *throwaway.CA) Files {
	t.Helper()
	leaf, err := ca.Leaf(throwaway.Leaf{
		CommonName: name, IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
		EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalECPrivateKey(leaf.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	files := Files{CA: filepath.Join(dir, file+"-ca.crt"), Cert: filepath.Join(dir, file+".crt"), Key: filepath.Join(dir, file+".key")}
	write(t, files.CA, ca.CertPEM())
	write(t, files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}))
	write(t, files.Key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key}))
	return files
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// StartControllerManager starts the kube-controller-manager of the release with the given
// controllers.
func (c *Cluster) StartControllerManager(t testing.TB, controllers string, flags ...string) {
	t.Helper()
	port := etcdtest.FreePort(t)
	etcdtest.Run(t, etcdtest.Config{
		Name: "kube-controller-manager", Program: c.program,
		HealthURL: fmt.Sprintf("https://127.0.0.1:%d/healthz", port),
		HealthTLS: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // its certificate is its own, and nothing is sent to it
		Args: append([]string{
			"controller-manager", "--kubeconfig=" + c.Kubeconfig, "--controllers=" + controllers, "--leader-elect=false",
			"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		}, flags...),
	})
}
