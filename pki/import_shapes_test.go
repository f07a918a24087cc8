package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// handMade is a CA that somebody made by hand, and signs with.
type handMade struct {
	t    testing.TB
	cert *x509.Certificate
	key  crypto.Signer
}

// newHandMade makes a CA as openssl req -x509 does, without key usages. change changes the template.
func newHandMade(t testing.TB, key crypto.Signer, parent *handMade, change func(*x509.Certificate)) *handMade {
	t.Helper()
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	serial, err := newSerial()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "etcd-ca"},
		NotBefore: time.Now().Add(-day), NotAfter: time.Now().AddDate(10, 0, 0), BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1,
	}
	if change != nil {
		change(template)
	}
	signer := &handMade{cert: template, key: key}
	if parent != nil {
		signer = parent
		template.NotBefore = maxTime(template.NotBefore, parent.cert.NotBefore) // openssl made it just now
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, key.Public(), signer.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &handMade{t, cert, key}
}

func (ca *handMade) keyPEM() []byte {
	ca.t.Helper()
	data, err := encodeKey(ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	return data
}

// leaf makes the certificate and key of member m0 or of a client.
func (ca *handMade) leaf(cn string, key crypto.Signer, ekus ...x509.ExtKeyUsage) (certPEM, keyPEM []byte) {
	ca.t.Helper()
	usage := x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement
	made := newHandMade(ca.t, key, ca, func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.MaxPathLen = pkix.Name{CommonName: cn}, false, 0
		c.KeyUsage, c.ExtKeyUsage, c.NotAfter = usage, ekus, time.Now().AddDate(1, 0, 0)
		if len(ekus) > 1 {
			c.DNSNames, c.IPAddresses = []string{"m0", "localhost"}, []net.IP{net.IPv4(10, 0, 0, 10), net.IPv4(127, 0, 0, 1), net.IPv6loopback}
		}
	})
	return encodeCertificates(made.cert), made.keyPEM()
}

// kubeadmFolder writes a folder as of kubeadm: trust is etcd/ca.crt, and signer signs the leaves.
func kubeadmFolder(t testing.TB, trust []byte, signer *handMade, change func(files map[string][]byte)) string {
	t.Helper()
	files := map[string][]byte{"etcd/ca.crt": trust, "etcd/ca.key": signer.keyPEM()}
	for name, leaf := range map[string]struct {
		cn   string
		ekus []x509.ExtKeyUsage
	}{
		"etcd/server": {"m0", bothAuth}, "etcd/peer": {"m0", bothAuth},
		"etcd/healthcheck-client": {"kube-etcd-healthcheck-client", clientAuth}, "apiserver-etcd-client": {"kube-apiserver-etcd-client", clientAuth},
	} {
		files[name+".crt"], files[name+".key"] = signer.leaf(leaf.cn, nil, leaf.ekus...)
	}
	if change != nil {
		change(files)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "etcd"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// importShape is a PKI that etcd takes, and what the import must say about it.
type importShape struct {
	make func(t *testing.T) string // the folder of m0
	weak []string
	// renews is false if the import leaves nothing to sign with.
	renews bool
}

func importShapes() map[string]importShape {
	own := func(change func(*x509.Certificate)) func(t *testing.T) string {
		return func(t *testing.T) string {
			ca := newHandMade(t, nil, nil, change)
			return kubeadmFolder(t, encodeCertificates(ca.cert), ca, nil)
		}
	}
	bundle := func(names ...string) func(t *testing.T) string {
		return func(t *testing.T) string {
			var cas []*handMade
			var certs []*x509.Certificate
			for _, name := range names {
				ca := newHandMade(t, nil, nil, func(c *x509.Certificate) { c.Subject.CommonName = name })
				cas, certs = append(cas, ca), append(certs, ca.cert)
			}
			// The last one signs: the first that is read would be the wrong one.
			return kubeadmFolder(t, encodeCertificates(certs...), cas[len(cas)-1], func(files map[string][]byte) {
				// A client that the former CA signed is still in use.
				files["apiserver-etcd-client.crt"], files["apiserver-etcd-client.key"] = cas[0].leaf("kube-apiserver-etcd-client", nil, clientAuth...)
			})
		}
	}
	sub := func(withRoot bool) func(t *testing.T) string {
		return func(t *testing.T) string {
			root := newHandMade(t, nil, nil, func(c *x509.Certificate) { c.Subject.CommonName = "corporate root" })
			ca := newHandMade(t, nil, root, nil)
			trust := []*x509.Certificate{ca.cert}
			if withRoot {
				trust = append([]*x509.Certificate{root.cert}, trust...)
			}
			return kubeadmFolder(t, encodeCertificates(trust...), ca, nil)
		}
	}
	return map[string]importShape{
		"no key usage":           {own(nil), []string{`"etcd-ca" has no key usage: it may be used for everything`}, true},
		"X.509 v1":               {versionOne, []string{`"etcd-ca" is a certificate of X.509 v1`}, true},
		"SHA-1 root":             {sha1Root, []string{`"etcd-ca" is signed with SHA-1`}, true},
		"sub-CA":                 {sub(false), []string{`"etcd-ca" is no root: "CN=corporate root" signed it`}, true},
		"sub-CA and root":        {sub(true), []string{`"etcd-ca" is no root`, `2 CAs are trusted, ["corporate root" "etcd-ca"]`}, true},
		"two CAs":                {bundle("former", "etcd-ca"), []string{`2 CAs are trusted, ["former" "etcd-ca"]`}, true},
		"two CAs of one subject": {bundle("etcd-ca", "etcd-ca"), []string{`"etcd-ca" is the name of several trusted CAs`, `2 CAs are trusted`}, true},
		"three CAs":              {bundle("a", "b", "c"), []string{`3 CAs are trusted, ["a" "b" "c"]`}, true},
		"text before each block": {func(t *testing.T) string {
			ca := newHandMade(t, nil, nil, nil)
			return kubeadmFolder(t, encodeCertificates(ca.cert), ca, func(files map[string][]byte) {
				for name, data := range files {
					files[name] = slices.Concat([]byte("0 s:CN = m0\nBag Attributes\n    localKeyID: 01\n"), data, []byte("# end\n"))
				}
			})
		}, []string{"has no key usage"}, true},
		"key and certificate in one file": {func(t *testing.T) string {
			ca := newHandMade(t, nil, nil, nil)
			return kubeadmFolder(t, encodeCertificates(ca.cert), ca, func(files map[string][]byte) {
				files["etcd/server.crt"] = slices.Concat(files["etcd/server.key"], files["etcd/server.crt"])
				files["etcd/peer.key"] = slices.Concat(files["etcd/peer.crt"], files["etcd/peer.key"])
			})
		}, []string{"has a private key in the certificate's file"}, true},
		"EC PARAMETERS": {func(t *testing.T) string {
			ca := newHandMade(t, nil, nil, nil)
			return kubeadmFolder(t, encodeCertificates(ca.cert), ca, func(files map[string][]byte) {
				parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}})
				for _, name := range []string{"etcd/ca.key", "etcd/server.key", "etcd/peer.key"} {
					files[name] = slices.Concat(parameters, files[name])
				}
			})
		}, nil, true},
		"P-521": {func(t *testing.T) string {
			key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			ca := newHandMade(t, key, nil, nil)
			return kubeadmFolder(t, encodeCertificates(ca.cert), ca, func(files map[string][]byte) {
				leafKey, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				files["etcd/server.crt"], files["etcd/server.key"] = ca.leaf("m0", leafKey, bothAuth...)
			})
		}, nil, true},
		"one certificate for server and peer": {func(t *testing.T) string {
			ca := newHandMade(t, nil, nil, nil)
			return kubeadmFolder(t, encodeCertificates(ca.cert), ca, func(files map[string][]byte) {
				files["etcd/peer.crt"], files["etcd/peer.key"] = files["etcd/server.crt"], files["etcd/server.key"]
			})
		}, []string{"is the peer's certificate too"}, true},
	}
}

// versionOne makes a root of X.509 v1, which crypto/x509 does not write: openssl does, without
// extensions.
func versionOne(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	runOpenSSL(t, dir, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key")
	runOpenSSL(t, dir, "req", "-new", "-key", "ca.key", "-subj", "/CN=etcd-ca", "-out", "ca.csr")
	runOpenSSL(t, dir, "x509", "-req", "-in", "ca.csr", "-signkey", "ca.key", "-days", "3650", "-out", "ca.crt")
	certs, err := ReadCertificates(filepath.Join(dir, "ca.crt"))
	if err != nil || certs[0].Version != 1 {
		t.Fatalf("openssl made %v, %v", certs, err)
	}
	key, _, err := readKey(filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca := &handMade{t, certs[0], key}
	return kubeadmFolder(t, encodeCertificates(ca.cert), ca, nil)
}

func sha1Root(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ca := newHandMade(t, key, nil, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })
	return kubeadmFolder(t, encodeCertificates(ca.cert), ca, nil)
}

// etcdTakes reports whether a server with the files of one folder and a client with those of another
// one take each other, as etcd's listener and its callers do.
func etcdTakes(serverDir, clientDir, server, client string, now time.Time) error {
	load := func(dir, pair string) (tls.Certificate, *x509.CertPool, error) {
		cert, err := tls.LoadX509KeyPair(filepath.Join(dir, pair+".crt"), filepath.Join(dir, pair+".key"))
		if err != nil {
			return cert, nil, err
		}
		pool := x509.NewCertPool() // client/pkg/tlsutil, NewCertPool
		rest, err := os.ReadFile(filepath.Join(dir, "etcd/ca.crt"))
		for err == nil {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			var ca *x509.Certificate
			if ca, err = x509.ParseCertificate(block.Bytes); err == nil {
				pool.AddCert(ca)
			}
		}
		return cert, pool, err
	}
	clock := func() time.Time { return now }
	cert, pool, err := load(serverDir, server)
	if err != nil {
		return err
	}
	from, trusted, err := load(clientDir, client)
	if err != nil {
		return err
	}
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	done := make(chan error, 1)
	go func() {
		conn := tls.Server(here, &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, Time: clock})
		done <- conn.Handshake()
	}()
	// TLS 1.2, in which the server's verdict is part of the client's handshake.
	conn := tls.Client(there, &tls.Config{Certificates: []tls.Certificate{from}, RootCAs: trusted, ServerName: "m0", MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, Time: clock})
	err = conn.Handshake()
	if err != nil {
		_ = there.Close()
	}
	if server := <-done; server != nil {
		return fmt.Errorf("server: %w", server)
	}
	return err
}

// Each shape that etcd takes is imported with its weakness said. Then the store is sound, and with
// renewed leaves everybody still takes everybody: those with the old files and those with the new.
func TestImportWhatEtcdTakes(t *testing.T) {
	t.Parallel()
	for name, shape := range importShapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := shape.make(t)
			now := time.Now().Add(time.Minute)
			clients := []string{"etcd/peer", "apiserver-etcd-client", "etcd/healthcheck-client"}
			everybody := func(serverDir, clientDir string) {
				t.Helper()
				for _, server := range []string{"etcd/server", "etcd/peer"} {
					for _, client := range clients {
						if err := etcdTakes(serverDir, clientDir, server, client, now); err != nil {
							t.Errorf("%s asks %s: %v", client, server, err)
						}
					}
				}
			}
			everybody(folder, folder)
			if t.Failed() {
				t.Fatal("etcd does not take it, so nothing can be shown")
			}
			found, err := ReadForeignCluster(nil, SpecConfig{Name: "found", Version: "3.6.16"}, []MemberFolder{{"m0", folder}})
			if err != nil {
				t.Fatal(err)
			}
			store := filepath.Join(t.TempDir(), "store")
			result, err := found.AdoptInto(store, now, false)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := found.AdoptInto(store, now, false); err != nil {
				t.Errorf("a second time: %v", err)
			}
			var weak strings.Builder
			for _, f := range result.Weak {
				fmt.Fprintf(&weak, "%s: %s\n", f.Path, f.Problem)
			}
			for _, want := range shape.weak {
				if !strings.Contains(weak.String(), want) {
					t.Errorf("no %q in:\n%s", want, weak.String())
				}
			}
			if name == "P-521" && strings.Contains(weak.String(), "weak key") {
				t.Errorf("P-521 is called weak:\n%s", weak.String())
			}
			for _, row := range StoreStatus(store, found.Cluster, now) {
				if row.State != StateOK && row.Name != "clients/auditor" && !strings.Contains(row.Detail, "has subject") {
					t.Errorf("status: %s is %s: %s", row.Name, row.State, row.Detail)
				}
			}
			bundle := filepath.Join(store, "nodes/m0/pki")
			everybody(bundle, bundle)
			renew(t, store, found.Cluster, now, Renewal{All: true})
			everybody(bundle, bundle)
			everybody(bundle, folder)
			everybody(folder, bundle)
			renew(t, store, found.Cluster, now, Renewal{All: true, NewKey: true})
			// Who trusts only the CA above a sub-CA needs the sub-CA in the server's file.
			if chain := readChain(t, filepath.Join(bundle, "etcd/server.crt")); (len(chain) == 2) != strings.HasPrefix(name, "sub-CA") {
				t.Errorf("%d certificates in the server's file", len(chain))
			}
			everybody(bundle, folder)
			everybody(folder, bundle)
			for _, f := range verify(t, store, found.Cluster, now) {
				if !strings.HasPrefix(f.Path, "authorities/client-root/ca.key") {
					t.Errorf("verify: %s: %s [%s]", f.Path, f.Problem, f.Fix)
				}
			}
			for _, file := range []string{"etcd/server.crt", "etcd/peer.crt"} {
				data, err := os.ReadFile(filepath.Join(bundle, file))
				if err != nil || bytes.Contains(data, []byte("PRIVATE")) {
					t.Errorf("%s after the renewal: %v\n%s", file, err, data)
				}
			}
		})
	}
}

// A PKI under names of its own: key and certificate in one file, or one pair for server and peer, of a
// member with a domain name. What is renewed keeps the files as they are.
func TestImportOneFileOrOnePair(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		server, peer string // of the spec
		weak         string
	}{
		"one file":         {`{cert: "{{.Name}}.pem", key: "{{.Name}}.pem"}`, `{cert: peer.pem, key: peer-key.pem}`, "has a private key in the certificate's file"},
		"one pair":         {`{cert: "{{.Name}}.pem", key: "{{.Name}}-key.pem"}`, `{cert: "{{.Name}}.pem", key: "{{.Name}}-key.pem"}`, "is the peer's certificate too"},
		"one file for all": {`{cert: all.pem, key: all.pem}`, `{cert: all.pem, key: all.pem}`, "has a private key in the certificate's file"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const member = "m0.example.com"
			c := reload(t, fmt.Sprintf(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: one}
spec:
  etcd:
    version: "3.6.16"
    enableGRPCGateway: true
    members: [{name: %s, addresses: [10.0.0.10, m0]}]
  pki:
    hierarchy: shared
    layout: custom
    files: {clientCA: ca.pem, server: %s, peer: %s}
`, member, tc.server, tc.peer))
			ca := newHandMade(t, nil, nil, nil)
			m, _ := c.Member(member)
			f := c.Files(m)
			folder := t.TempDir()
			write := func(name string, data []byte) {
				t.Helper()
				if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("ca.pem", encodeCertificates(ca.cert))
			write("ca-key.pem", ca.keyPEM())
			for _, pair := range []cluster.KeyPair{f.Server, f.Peer} {
				certPEM, keyPEM := ca.leaf(member, nil, bothAuth...)
				write(pair.Key, keyPEM)
				if pair.Key == pair.Cert {
					certPEM = slices.Concat(keyPEM, certPEM)
				}
				write(pair.Cert, certPEM)
			}
			found, err := ReadForeignCluster(c, SpecConfig{}, []MemberFolder{{member, folder}})
			if err != nil {
				t.Fatal(err)
			}
			now, store := time.Now().Add(time.Minute), filepath.Join(t.TempDir(), "store")
			result, err := found.AdoptInto(store, now, false)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(result.Weak, func(f Finding) bool { return strings.Contains(f.Problem, tc.weak) }) {
				t.Errorf("no %q in %v", tc.weak, result.Weak)
			}
			issue(t, store, c, now) // the clients that nobody had
			bundle := filepath.Join(store, "nodes", member, "pki")
			pairOf := func() tls.Certificate {
				t.Helper()
				for _, pair := range []cluster.KeyPair{f.Server, f.Peer} {
					for _, name := range []string{pair.Cert, pair.Key} {
						info, err := os.Stat(filepath.Join(bundle, name))
						if err != nil || name == pair.Key && info.Mode().Perm() != 0o600 {
							t.Errorf("%s: %v, %v", name, info, err)
						}
					}
				}
				pair, err := tls.LoadX509KeyPair(filepath.Join(bundle, f.Server.Cert), filepath.Join(bundle, f.Server.Key))
				if err != nil {
					t.Fatal(err)
				}
				return pair
			}
			sound := func() {
				t.Helper()
				for _, f := range verify(t, store, c, now) {
					if !strings.HasPrefix(f.Path, "authorities/client-root/ca.key") {
						t.Errorf("verify: %s: %s [%s]", f.Path, f.Problem, f.Fix)
					}
				}
				for _, row := range StoreStatus(store, c, now) {
					if row.State != StateOK {
						t.Errorf("status: %s is %s: %s", row.Name, row.State, row.Detail)
					}
				}
			}
			before := pairOf()
			renew(t, store, c, now, Renewal{All: true})
			sound()
			same := pairOf()
			if !samePublicKey(before.Leaf.PublicKey, same.Leaf.PublicKey) || before.Leaf.Equal(same.Leaf) {
				t.Error("a renewal made no new certificate of the same key")
			}
			renew(t, store, c, now, Renewal{All: true, NewKey: true})
			sound()
			if after := pairOf(); samePublicKey(before.Leaf.PublicKey, after.Leaf.PublicKey) {
				t.Error("the key is not new")
			}
			b, _, _ := NewPlan(c).Find(member)
			target := filepath.Join(t.TempDir(), "etcd")
			if _, err := InstallBundle(b, InstallConfig{Signed: bundle, Keys: bundle, Target: target, Now: now}, false); err != nil {
				t.Fatal(err)
			}
			if _, err := tls.LoadX509KeyPair(filepath.Join(target, f.Server.Cert), filepath.Join(target, f.Server.Key)); err != nil {
				t.Error(err)
			}
			minted, err := Mint(store, now)
			if err != nil || len(minted.Elsewhere.Certificate) == 0 {
				t.Errorf("minting: %v", err)
			}
		})
	}
}

// Another CA renews a sub-CA: nothing here signs it anew, and its new certificate can be imported.
func TestImportASubCAAgain(t *testing.T) {
	t.Parallel()
	root := newHandMade(t, nil, nil, func(c *x509.Certificate) { c.Subject.CommonName = "corporate root" })
	ends := time.Now().AddDate(2, 0, 0)
	ca := newHandMade(t, nil, root, func(c *x509.Certificate) { c.NotAfter = ends })
	folder := kubeadmFolder(t, encodeCertificates(ca.cert), ca, nil)
	found, err := ReadForeignCluster(nil, SpecConfig{Name: "found", Version: "3.6.16"}, []MemberFolder{{"m0", folder}})
	if err != nil {
		t.Fatal(err)
	}
	c, store := found.Cluster, filepath.Join(t.TempDir(), "store")
	if _, err := found.AdoptInto(store, time.Now(), false); err != nil {
		t.Fatal(err)
	}
	near := ends.AddDate(0, -2, 0)
	certPath := filepath.Join(store, "authorities/client-root/ca.crt")
	before := readChain(t, certPath)[0]
	work := renew(t, store, c, near, Renewal{All: true, Authorities: true})
	if !readChain(t, certPath)[0].Equal(before) {
		t.Fatal("a sub-CA was made a root of its own")
	}
	at := slices.IndexFunc(work.Steps, func(s Step) bool { return s.Name == ClientRoot })
	if r := work.Steps[at].Remedy; r == nil || !r.Person || !strings.Contains(r.String(), "corporate root") || !strings.Contains(r.Command, "pki import authority") {
		t.Errorf("what to do: %+v", r)
	}
	if _, err := renewErr(t, store, c, ends.Add(day), Renewal{Due: true, Authorities: true}); err == nil || !strings.Contains(err.Error(), "pki import authority") {
		t.Errorf("when it has expired: %v", err)
	}
	again := newHandMade(t, ca.key, root, nil)
	adoption := Adoption{Authorities: map[string]AdoptedCA{ClientRoot: {Certificate: again.cert}}}
	if err := AdoptInto(store, c, adoption, near, false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(store, "authorities/client-root/ca.key")); err != nil {
		t.Errorf("the key: %v", err)
	}
	if !readChain(t, certPath)[0].Equal(again.cert) {
		t.Error("it still has the former certificate")
	}
	stranger := newHandMade(t, nil, root, nil)
	adoption.Authorities[ClientRoot] = AdoptedCA{Certificate: stranger.cert}
	if err := AdoptInto(store, c, adoption, near, false); err == nil || !strings.Contains(err.Error(), "holds another certificate") {
		t.Errorf("a CA of another key: %v", err)
	}
}

// Real members take an imported PKI as it is, and after its renewal with the files of the store.
func testEtcdTakesImports(t *testing.T, shapes ...string) {
	t.Helper()
	for name, shape := range importShapes() {
		if shapes != nil && !slices.Contains(shapes, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := shape.make(t)
			runEtcdWith(t, folder)
			found, err := ReadForeignCluster(nil, SpecConfig{Name: "found", Version: "3.6.16"}, []MemberFolder{{"m0", folder}})
			if err != nil {
				t.Fatal(err)
			}
			store := filepath.Join(t.TempDir(), "store")
			if _, err := found.AdoptInto(store, time.Now(), false); err != nil {
				t.Fatal(err)
			}
			renew(t, store, found.Cluster, time.Now(), Renewal{All: true, NewKey: true})
			runEtcdWith(t, filepath.Join(store, "nodes/m0/pki"))
		})
	}
}

// runEtcdWith runs a member with the files of a folder, and asks it as one of its clients.
func runEtcdWith(t *testing.T, folder string) {
	t.Helper()
	ports := etcdtest.FreePorts(t, 2)
	client, peer := fmt.Sprintf("https://127.0.0.1:%d", ports[0]), fmt.Sprintf("https://127.0.0.1:%d", ports[1])
	at := func(name string) string { return filepath.Join(folder, "etcd", name) }
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "apiserver-etcd-client.crt"), filepath.Join(folder, "apiserver-etcd-client.key"))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := ReadTrust(at("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	for _, ca := range trust {
		roots.AddCert(ca)
	}
	etcdtest.Run(t, etcdtest.Config{
		Name: "m0", Version: etcdtest.V3_6, HealthURL: client + "/health",
		HealthTLS: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS13},
		Args: []string{
			"--name=m0", "--data-dir=" + t.TempDir(),
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=m0=" + peer,
			"--cert-file=" + at("server.crt"), "--key-file=" + at("server.key"), "--client-cert-auth=true", "--trusted-ca-file=" + at("ca.crt"),
			"--peer-cert-file=" + at("peer.crt"), "--peer-key-file=" + at("peer.key"), "--peer-client-cert-auth=true", "--peer-trusted-ca-file=" + at("ca.crt"),
		},
	})
}

func TestEtcdTakesAnImportOfSeveralCAs(t *testing.T) {
	t.Parallel()
	testEtcdTakesImports(t, "two CAs of one subject")
}
