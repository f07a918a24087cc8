package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
)

// otherTool makes a PKI of k3s's layout, with the certificates of another tool.
type otherTool struct {
	t            *testing.T
	server, peer *x509.Certificate
	serverKey    crypto.Signer
	peerKey      crypto.Signer
}

func newOtherTool(t *testing.T) *otherTool {
	t.Helper()
	o := &otherTool{t: t}
	o.server, o.serverKey = o.ca("server-ca")
	o.peer, o.peerKey = o.ca("peer-ca")
	return o
}

func (o *otherTool) ca(cn string) (*x509.Certificate, crypto.Signer) {
	o.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, NotBefore: testNow().Add(-time.Hour), NotAfter: testNow().AddDate(10, 0, 0),
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		o.t.Fatal(err)
	}
	return o.sign(template, template, key, key), key
}

func (o *otherTool) sign(template, issuer *x509.Certificate, key, issuerKey crypto.Signer) *x509.Certificate {
	o.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		o.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		o.t.Fatal(err)
	}
	return cert
}

// otherLeaf describes a leaf of another tool.
type otherLeaf struct {
	cn    string
	names []string // DNS:x, IP:x or URI:x
	ekus  []x509.ExtKeyUsage
	more  []pkix.Extension
}

// member writes the folder of a member.
func (o *otherTool) member(server, peer, client otherLeaf) string {
	o.t.Helper()
	dir := o.t.TempDir()
	write := func(base string, cert *x509.Certificate, key crypto.Signer) {
		keyPEM, err := encodeKey(key)
		if err != nil {
			o.t.Fatal(err)
		}
		for name, data := range map[string][]byte{base + ".crt": encodeCertificates(cert), base + ".key": keyPEM} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				o.t.Fatal(err)
			}
		}
	}
	write("server-ca", o.server, o.serverKey)
	write("peer-ca", o.peer, o.peerKey)
	for base, l := range map[string]otherLeaf{"server-client": server, "peer-server-client": peer, "client": client} {
		serial, err := newSerial()
		if err != nil {
			o.t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: serial, Subject: pkix.Name{CommonName: l.cn}, ExtKeyUsage: l.ekus, ExtraExtensions: l.more,
			KeyUsage: x509.KeyUsageDigitalSignature, NotBefore: testNow().Add(-time.Hour), NotAfter: testNow().AddDate(1, 0, 0),
		}
		for _, name := range l.names {
			kind, text, _ := strings.Cut(name, ":")
			switch kind {
			case "DNS":
				template.DNSNames = append(template.DNSNames, text)
			case "IP":
				template.IPAddresses = append(template.IPAddresses, net.ParseIP(text))
			case "URI":
				u, err := url.Parse(text)
				if err != nil {
					o.t.Fatal(err)
				}
				template.URIs = append(template.URIs, u)
			}
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			o.t.Fatal(err)
		}
		issuer, issuerKey := o.server, o.serverKey
		if base == "peer-server-client" {
			issuer, issuerKey = o.peer, o.peerKey
		}
		write(base, o.sign(template, issuer, key, issuerKey), key)
	}
	return dir
}

// adopt imports folders, by the names etcd-0, etcd-1 and so on, and returns the store.
func adopt(t *testing.T, c *cluster.Cluster, folders ...string) (*ForeignCluster, string) {
	t.Helper()
	var members []MemberFolder
	for i, dir := range folders {
		members = append(members, MemberFolder{Member: "etcd-" + string(rune('0'+i)), Dir: dir})
	}
	found, err := ReadForeignCluster(c, SpecConfig{Name: "found", Version: "3.6.16"}, members)
	if err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(t.TempDir(), "store")
	if _, err := found.AdoptInto(store, testNow(), false); err != nil {
		t.Fatal(err)
	}
	issue(t, store, found.Cluster, testNow()) // the clients that the other tool did not have
	return found, store
}

// lostNames returns the names that certificates had before and have no more.
func lostNames(before, after map[string]*x509.Certificate) []string {
	var lost []string
	for _, name := range sortedKeys(before) {
		was, _ := namesOf(before[name])
		is, _ := namesOf(after[name])
		for _, gone := range was.without(is).typed() {
			lost = append(lost, name+" "+gone)
		}
		if before[name].Subject.CommonName != after[name].Subject.CommonName {
			lost = append(lost, name+" CN="+before[name].Subject.CommonName)
		}
	}
	return lost
}

// odd are names that no member has as an address.
func odd() []string {
	return []string{
		"DNS:Etcd.Example.COM", "DNS:etcd_0", "DNS:*.etcd-headless.ns.svc", "DNS:etcd.example.com.", "URI:spiffe://cluster.local/etcd", "URI:urn:example:etcd",
		"DNS:etcd.lb.example", "IP:10.0.0.100", "IP:127.0.0.1", "DNS:localhost", "DNS:localhost",
	}
}

// The whole of a foreign PKI's names and identities survives every renewal: by the spec that was made
// from it, and by one that an operator wrote without them.
func TestRenewalsKeepWhatWasImported(t *testing.T) {
	t.Parallel()
	o := newOtherTool(t)
	var folders []string
	for i, own := range []string{"IP:10.0.0.10", "IP:10.0.0.11"} {
		names := append([]string{own, "DNS:etcd-" + string(rune('0'+i))}, odd()...)
		if i == 1 {
			names = append(names, "DNS:Only-1", "DNS:two_names")
		}
		folders = append(folders, o.member(
			otherLeaf{cn: "etcd-server", names: names}, // without EKUs it serves the gateway
			otherLeaf{cn: "etcd-peer", names: names, ekus: bothAuth},
			otherLeaf{cn: "system:kube-apiserver", names: []string{"DNS:cp-0"}, ekus: clientAuth},
		))
	}
	written := reload(t, `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: found}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [10.0.0.10]}, {name: etcd-1, addresses: [10.0.0.11]}]
  pki: {layout: k3s, hierarchy: single}
`)
	for name, c := range map[string]*cluster.Cluster{"made": nil, "written": written} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, store := adopt(t, c, folders...)
			before := leavesOf(t, store, found.Cluster)
			if user := found.Cluster.CommonName(cluster.Client{Name: "kube-apiserver"}); c == nil && user != "system:kube-apiserver" {
				t.Errorf("the spec has etcd user %q:\n%s", user, found.Cluster.YAML)
			}
			notes := strings.Join(found.Notes, "\n")
			if want := "etcd-1/server has CN=etcd-server"; !strings.Contains(notes, want) || c != nil && !strings.Contains(notes, "DNS:*.etcd-headless.ns.svc") {
				t.Errorf("no %q in the notes:\n%s", want, notes)
			}
			for i, renewal := range []Renewal{{All: true}, {All: true, NewKey: true}} {
				work := renew(t, store, found.Cluster, testNow(), renewal)
				if detail := detailOf(t, work.Steps, "etcd-0/server"); !strings.Contains(detail, "keeps from its import, and not from the spec: CN=etcd-server") {
					t.Errorf("the step: %s", detail)
				}
				after := leavesOf(t, store, found.Cluster)
				if lost := lostNames(before, after); len(lost) > 0 {
					t.Errorf("renewal %d lost:\n%s", i+1, strings.Join(lost, "\n"))
				}
				if !allows(after["etcd-1/server"], x509.ExtKeyUsageClientAuth) || after["etcd-1/server"].VerifyHostname("a.etcd-headless.ns.svc") != nil || after["etcd-0/server"].VerifyHostname("10.0.0.100") != nil {
					t.Errorf("the gateway, a wildcard or the shared address is lost: %v", SANs(after["etcd-1/server"]))
				}
				checkSound(t, store, found.Cluster, testNow())
			}
			for _, f := range verify(t, store, found.Cluster, testNow()) {
				if strings.HasPrefix(f.Path, "nodes/") {
					t.Errorf("verify: %s: %s", f.Path, f.Problem)
				}
			}
			for _, row := range StoreStatus(store, found.Cluster, testNow()) {
				if row.State != StateOK {
					t.Errorf("status: %s is %s: %s", row.Name, row.State, row.Detail)
				}
			}
			// A new spec without the names does not drop them in the next daily run; the operator does.
			renew(t, store, written, testNow(), Renewal{Due: true})
			if lost := lostNames(before, leavesOf(t, store, written)); len(lost) > 0 {
				t.Errorf("another spec lost:\n%s", strings.Join(lost, "\n"))
			}
			renew(t, store, written, testNow(), Renewal{Due: true, ForgetImport: true})
			forgotten := leavesOf(t, store, written)["etcd-0/server"]
			if diff := cmp.Diff([]string{"10.0.0.10", "127.0.0.1", "::1", "localhost"}, SANs(forgotten)); diff != "" || forgotten.Subject.CommonName != "etcd-0" {
				t.Errorf("%s (-want +got):\n%s", forgotten.Subject, diff)
			}
			checkSound(t, store, written, testNow())
			if _, err := renewErr(t, store, written, testNow(), Renewal{Due: true, ForgetImport: true}); err == nil || !strings.Contains(err.Error(), "--forget-import drops nothing") {
				t.Errorf("nothing is left to forget: %v", err)
			}
		})
	}
}

// What no spec and no renewal can keep is noted at the import.
func TestImportNotesWhatIsLost(t *testing.T) {
	t.Parallel()
	o := newOtherTool(t)
	sans, err := asn1.Marshal([]asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("10.0.0.10")},
		{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("*")},
		{Class: asn1.ClassContextSpecific, Tag: 8, Bytes: []byte{42, 3, 4}},
	})
	if err != nil {
		t.Fatal(err)
	}
	member := otherLeaf{cn: "etcd-0", ekus: bothAuth, more: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: sans}}}
	found, store := adopt(t, nil, o.member(member, member, otherLeaf{ekus: clientAuth}))
	notes := strings.Join(found.Notes, "\n")
	for _, want := range []string{
		"left out DNS:10.0.0.10: it is an IP address written as a DNS name, which no client accepts",
		`left out DNS:*: "*" covers every host`,
		"etcd-0/server has DNS:10.0.0.10 DNS:* registeredID, which the next renewal drops",
		"etcd-0/kube-apiserver has no CN; the next renewal gives it CN=kube-apiserver",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in:\n%s", want, notes)
		}
	}
	if got := found.Cluster.Etcd.Members[0].Advertised().String(); got != "10.0.0.10" {
		t.Errorf("advertised %s", got)
	}
	var problems []string
	for _, f := range verify(t, store, found.Cluster, testNow()) {
		problems = append(problems, f.Path+" "+f.Problem)
	}
	want := "nodes/etcd-0/pki/server-client.crt has the wrong names: missing IP:10.0.0.10 IP:127.0.0.1 IP:::1 DNS:localhost; additional DNS:10.0.0.10 DNS:* registeredID (no client accepts a DNS name for an IP address)"
	if !slices.Contains(problems, want) {
		t.Errorf("no %q in:\n%s", want, strings.Join(problems, "\n"))
	}
}

// Members whose certificates all name all members, as those of kubespray, do not tell their addresses.
func TestImportOfNamesThatAllMembersHave(t *testing.T) {
	t.Parallel()
	o := newOtherTool(t)
	member := otherLeaf{cn: "etcd", names: []string{"IP:10.0.0.10", "IP:10.0.0.11"}, ekus: bothAuth}
	var folders []MemberFolder
	for _, name := range []string{"etcd-0", "etcd-1"} {
		folders = append(folders, MemberFolder{name, o.member(member, member, otherLeaf{cn: "client", ekus: clientAuth})})
	}
	_, err := ReadForeignCluster(nil, SpecConfig{Name: "found", Version: "3.6.16"}, folders)
	if err == nil || !strings.Contains(err.Error(), "do not tell its address") || !strings.Contains(err.Error(), "write a spec by hand") {
		t.Errorf("got %v", err)
	}
}

// Names are compared with their kinds, and neither their order, their number nor the case of a DNS
// name is a difference.
func TestCompareNames(t *testing.T) {
	t.Parallel()
	want := Names{IPs: hostNames(hostAt(t, "10.0.0.11")).IPs, DNS: []string{"localhost", "Etcd-0.example"}}
	san := func(ips []string, dns ...string) *x509.Certificate {
		cert := &x509.Certificate{DNSNames: dns}
		for _, ip := range ips {
			cert.IPAddresses = append(cert.IPAddresses, net.ParseIP(ip))
		}
		return cert
	}
	all := []string{"10.0.0.11", "127.0.0.1", "::1"}
	for name, tc := range map[string]struct {
		cert *x509.Certificate
		want string
	}{
		"the same":            {san(all, "localhost", "Etcd-0.example"), ""},
		"another order":       {san([]string{"::1", "127.0.0.1", "10.0.0.11"}, "Etcd-0.example", "localhost"), ""},
		"twice":               {san(append([]string{"10.0.0.11"}, all...), "localhost", "localhost", "Etcd-0.example", "etcd-0.EXAMPLE"), ""},
		"another case":        {san(all, "localhost", "etcd-0.example"), ""},
		"an address as a DNS": {san([]string{"127.0.0.1", "::1"}, "localhost", "Etcd-0.example", "10.0.0.11"), "has the wrong names: missing IP:10.0.0.11; additional DNS:10.0.0.11 (no client accepts a DNS name for an IP address)"},
		"one less":            {san(all, "Etcd-0.example"), "has the wrong names: missing DNS:localhost"},
		"one more":            {san(append([]string{"10.0.0.12"}, all...), "localhost", "Etcd-0.example", "localhost."), "has the wrong names: additional IP:10.0.0.12 DNS:localhost."},
	} {
		err := compareNames(tc.cert, want)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || err.Error() != tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

// The extra names of a spec are in the certificates of the members, below issuing CAs with name
// constraints too, and clients take them.
func TestExtraNames(t *testing.T) {
	t.Parallel()
	spec := strings.Replace(string(specOf(t, 2, "").YAML), "    members:", `    extraNames: ["*.etcd.Example.com", 10.0.0.100, "spiffe://cluster.local/etcd", ops@example.com]
    members:`, 1)
	spec = strings.Replace(spec, "{name: etcd-1,", "{name: etcd-1, extraNames: [etcd_1, 10.0.0.99],", 1)
	c := reload(t, spec)
	if len(c.Etcd.Members[1].ExtraNames) != 2 {
		t.Fatalf("not the spec of the test:\n%s", spec)
	}
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	leaves := leavesOf(t, dir, c)
	for _, name := range []string{"etcd-1/server", "etcd-1/peer"} {
		for _, host := range []string{"a.etcd.example.com", "10.0.0.100", "10.0.0.99", "etcd_1", "10.0.0.12"} {
			if err := leaves[name].VerifyHostname(host); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if leaves[name].VerifyHostname("a.b.etcd.example.com") == nil || leaves["etcd-0/server"].VerifyHostname("etcd_1") == nil {
			t.Error("valid for more names than the spec has")
		}
		if len(leaves[name].URIs) != 1 || len(leaves[name].EmailAddresses) != 1 {
			t.Errorf("%s: %v %v", name, leaves[name].URIs, leaves[name].EmailAddresses)
		}
	}
	checkSound(t, dir, c, testNow())
	// A request by the node's own key may ask for them, and for no other.
	_, found, _ := NewPlan(c).Find("etcd-1/server")
	key, _, err := NewKey(cluster.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	data, err := NewRequest(found[0], key)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || CheckRequest(found[0], csr) != nil {
		t.Errorf("%v %v", err, CheckRequest(found[0], csr))
	}
	if CheckRequest(NewPlan(c).Bundles[0].Leaves[0], csr) == nil {
		t.Error("another member may ask for them")
	}
}
