package pki

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// statesOf returns the states of a store's certificates that are not ok, with their details.
func statesOf(t testing.TB, dir string, c *cluster.Cluster, now time.Time) map[string]string {
	t.Helper()
	states := map[string]string{}
	for _, row := range StoreStatus(dir, c, now) {
		if row.State != StateOK {
			states[row.Name] = string(row.State) + ": " + row.Detail
		}
	}
	return states
}

// bansFound returns the problems that verify finds about revoked certificates and compromised keys, by
// their path.
func bansFound(t testing.TB, dir string, c *cluster.Cluster, now time.Time) map[string]string {
	t.Helper()
	problems := map[string]string{}
	for _, f := range verify(t, dir, c, now) {
		if strings.Contains(f.Problem, "revoked") && !strings.Contains(f.Problem, "no member reads the list") {
			problems[f.Path] = f.Problem
			if len(f.Fix) == 0 {
				t.Errorf("%s: no fix", f.Path)
			}
		}
	}
	return problems
}

// checkNeverAgain wants no certificate in the ledger that was made for a key after it was revoked as
// compromised.
func checkNeverAgain(t testing.TB, dir string) {
	t.Helper()
	entries, err := ReadLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	compromised := map[string]bool{}
	for _, e := range entries {
		if e.Event == EventRevoke && slices.Contains([]string{"keyCompromise", "cACompromise", "aACompromise"}, e.Reason) {
			compromised[e.KeyHash] = true
		}
		if e.isCertificate() && compromised[e.KeyHash] {
			t.Errorf("%s has serial number %s for a compromised key", e.Name, e.Serial)
		}
	}
	if len(compromised) == 0 {
		t.Error("no key is compromised")
	}
}

// Whatever verb signs, a certificate that was revoked does not stay, and a key that was stolen is not
// certified again. Nothing else changes by it.
func TestRevokedCertificatesDoNotStay(t *testing.T) {
	t.Parallel()
	verbs := map[string]struct {
		after   time.Duration
		renewal Renewal
		all     bool // whether it renews every leaf
	}{
		"bootstrap":      {0, Renewal{}, false},
		"renew":          {0, Renewal{Due: true}, false},
		"renew, due":     {70 * day, Renewal{Due: true}, true},
		"renew, expired": {95 * day, Renewal{Due: true}, true},
		"renew NAME":     {0, Renewal{Names: []string{"auditor"}}, false},
		"renew --all":    {0, Renewal{All: true}, true},
		"recover":        {0, Renewal{All: true, Authorities: true}, true},
	}
	reasons := []string{"keyCompromise", "cACompromise", "aACompromise", "unspecified"}
	original, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, withCRL)
	issue(t, original, c, testNow())
	at := 0
	for _, verb := range sortedNames(verbs) {
		tc, reason := verbs[verb], reasons[at%len(reasons)]
		at++
		t.Run(verb+", "+reason, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			if err := os.CopyFS(dir, os.DirFS(original)); err != nil {
				t.Fatal(err)
			}
			restoreModes(t, original, dir)
			if _, err := revokeErr(t, dir, c, Revocation{Which: "auditor", Reason: reason, Current: true}, testNow()); err != nil {
				t.Fatal(err)
			}
			want := "revoked: was revoked: " + reason + "; etcdsec pki renew " + dir
			if got := statesOf(t, dir, c, testNow()); len(got) != 1 || got["clients/auditor"] != want {
				t.Errorf("status: %q, want %q", got, want)
			}
			if got := bansFound(t, dir, c, testNow()); len(got) != 1 || got["clients/auditor/client.crt"] != "was revoked: "+reason {
				t.Errorf("verify: %q", got)
			}
			before, now := leavesOf(t, dir, c), testNow().Add(tc.after)
			renew(t, dir, c, now, tc.renewal)
			changed, newKeys := renewed(before, leavesOf(t, dir, c))
			if diff := cmp.Diff([]string{"clients/auditor"}, newKeys); diff != "" || !tc.all && len(changed) != 1 {
				t.Errorf("new keys (-want +got):\n%s\nrenewed: %v", diff, changed)
			}
			if got := statesOf(t, dir, c, now); len(got) > 0 {
				t.Errorf("status afterwards: %q", got)
			}
			if got := bansFound(t, dir, c, now); len(got) > 0 {
				t.Errorf("verify afterwards: %q", got)
			}
			if reason != "unspecified" {
				checkNeverAgain(t, dir)
			}
			checkSound(t, dir, c, now)
		})
	}
}

// A client that was revoked and left the spec comes back: it gets a new certificate and key.
func TestRevokedClientComesBack(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	with := specOf(t, 1, "  clients: [{name: backup, role: backup}]\n")
	issue(t, dir, with, testNow())
	before := leavesOf(t, dir, with)
	without := specOf(t, 1, "")
	issue(t, dir, without, testNow())
	if _, err := revokeErr(t, dir, without, Revocation{Which: "backup", Reason: "keyCompromise"}, testNow()); err != nil {
		t.Fatal(err)
	}
	if got := statesOf(t, dir, with, testNow()); !strings.HasPrefix(got["clients/backup"], "revoked: was revoked: keyCompromise") {
		t.Errorf("status: %q", got)
	}
	issue(t, dir, with, testNow())
	_, newKeys := renewed(before, leavesOf(t, dir, with))
	if diff := cmp.Diff([]string{"clients/backup"}, newKeys); diff != "" {
		t.Errorf("new keys (-want +got):\n%s", diff)
	}
	checkNeverAgain(t, dir)
	checkSound(t, dir, with, testNow())
}

// giveKey makes a leaf's certificate again for the key of another leaf, as another tool may have done.
func giveKey(t *testing.T, dir string, c *cluster.Cluster, from, to string) {
	t.Helper()
	store, plan := &Store{Dir: dir}, NewPlan(c)
	_, givers, _ := plan.Find(from)
	giverBundle, _, _ := plan.Find(from)
	bundle, takers, ok := plan.Find(to)
	if !ok {
		t.Fatalf("no %s", to)
	}
	cas, err := store.loadAuthorities(plan)
	if err != nil {
		t.Fatal(err)
	}
	giver, err := store.loadLeaf(giverBundle, givers[0])
	if err != nil {
		t.Fatal(err)
	}
	issuer := cas[takers[0].Issuer]
	signer, err := newLeafSigner(issuer, BackendStd, nil)
	if err != nil {
		t.Fatal(err)
	}
	notBefore, notAfter, err := leafLifetime(issuer.cert, 90*day, testNow())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := signer.sign(t.Context(), takers[0], subject{key: giver.key}, notBefore, notAfter)
	if err != nil {
		t.Fatal(err)
	}
	entry := newEntry(takers[0].Name, takers[0].Role, reasonImport, plan.SpecHash, cert, testNow())
	entry.Event = EventImport
	keyPEM, err := encodeKey(giver.key)
	if err == nil {
		err = appendLedger(dir, []Entry{entry})
	}
	files, filesErr := store.filesAt(bundle.Path)
	if err != nil || filesErr != nil {
		t.Fatal(err, filesErr)
	}
	files = replaceFiles(files, durable.File{Name: takers[0].CertFile, Mode: 0o644, Data: encodeCertificates(cert, issuer.cert)}, durable.File{Name: takers[0].KeyFile, Mode: 0o600, Data: keyPEM})
	if err := store.swap(bundle.Path, files, nil); err != nil {
		t.Fatal(err)
	}
}

// A stolen key is stolen under each name that has it: status and verify name all of them, a run gives
// each a new key, and no certificate of the key is left out of the lists.
func TestCompromisedKeyUnderAnotherName(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 2, withCRL)
	issue(t, dir, c, testNow())
	giveKey(t, dir, c, "auditor", "healthcheck")
	giveKey(t, dir, c, "auditor", "etcd-1/peer")
	before := leavesOf(t, dir, c)
	r := Revocation{Which: "auditor", Reason: "keyCompromise", Current: true}
	if _, err := revokeErr(t, dir, c, r, testNow()); err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{"clients/auditor": "clients/auditor/client.crt", "clients/healthcheck": "clients/healthcheck/client.crt", "etcd-1/peer": "nodes/etcd-1/pki/peer.crt"}
	states, problems := statesOf(t, dir, c, testNow()), bansFound(t, dir, c, testNow())
	for name, path := range paths {
		want := "has the key of clients/auditor, serial number " + SerialString(before["clients/auditor"].SerialNumber) + ", which was revoked: keyCompromise"
		if name == "clients/auditor" {
			want = "was revoked: keyCompromise"
		}
		if !strings.HasPrefix(states[name], "revoked: "+want+"; etcdsec pki renew") || problems[path] != want {
			t.Errorf("%s: status %q, verify %q, want %q", name, states[name], problems[path], want)
		}
	}
	if len(states) != 3 || len(problems) != 3 {
		t.Errorf("status: %q\nverify: %q", states, problems)
	}
	renew(t, dir, c, testNow(), Renewal{Due: true})
	_, newKeys := renewed(before, leavesOf(t, dir, c))
	if diff := cmp.Diff(sortedNames(paths), newKeys); diff != "" {
		t.Errorf("new keys (-want +got):\n%s", diff)
	}
	checkNeverAgain(t, dir)

	// Two certificates of the key are still valid, and not in use any more.
	if left := bansFound(t, dir, c, testNow()); !strings.Contains(left[ledgerName], "not revoked, but has the key of serial number") {
		t.Errorf("verify: %q", left)
	}
	revokedNow, err := revokeErr(t, dir, c, Revocation{Which: SerialString(before["etcd-1/peer"].SerialNumber), Reason: "keyCompromise"}, testNow())
	if err != nil || len(revokedNow) != 2 {
		t.Errorf("%+v %v, want both", revokedNow, err)
	}
	if left := bansFound(t, dir, c, testNow()); len(left) > 0 {
		t.Errorf("verify afterwards: %q", left)
	}
	peer := readCRL(t, filepath.Join(dir, "nodes/etcd-0/pki/peer.crl"))
	if len(peer.RevokedCertificateEntries) != 1 || peer.RevokedCertificateEntries[0].SerialNumber.Cmp(before["etcd-1/peer"].SerialNumber) != 0 {
		t.Errorf("the peers' list: %+v", peer.RevokedCertificateEntries)
	}
	checkSound(t, dir, c, testNow())
}

// The store has no key to replace: a run says what to do on the node, and does everything else. The
// stolen key is refused in a request, also in another encoding.
func TestCompromisedKeyOnANode(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, "")
	issue(t, dir, c, testNow())
	stolen, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	auditor, peer := LeafID{Client: "auditor"}, LeafID{Member: "etcd-0", Role: RolePeer}
	sign := func(id LeafID, csr *x509.CertificateRequest) error {
		_, err := renewErr(t, dir, c, testNow(), Renewal{Requests: map[LeafID]*x509.CertificateRequest{id: csr}})
		return err
	}
	first := parseRequest(t, requestPEM(t, x509.CertificateRequest{}, stolen))
	if err := sign(auditor, first); err != nil {
		t.Fatal(err)
	}
	before := leavesOf(t, dir, c)
	if _, err := revokeErr(t, dir, c, Revocation{Which: "auditor", Reason: "aACompromise", Current: true}, testNow()); err != nil {
		t.Fatal(err)
	}
	for name, renewal := range map[string]Renewal{"due": {Due: true}, "asked for": {Names: []string{"auditor"}}, "bootstrap": {}, "all": {All: true}} {
		work := renew(t, dir, c, testNow(), renewal)
		if got := detailOf(t, work.Steps, "clients/auditor"); !work.Due() || !strings.Contains(got, "its key is only on its node; make a new one there") || !strings.Contains(got, "etcdsec pki csr -f cluster.yaml clients/auditor ./new") {
			t.Errorf("%s: %s", name, got)
		}
	}
	changed, _ := renewed(before, leavesOf(t, dir, c))
	if len(changed) != len(before)-1 {
		t.Errorf("renewed %v, want all but one", changed)
	}
	again := reencoded(t, first, stolen)
	for _, csr := range []*x509.CertificateRequest{first, again} {
		for _, id := range []LeafID{auditor, peer} {
			if err := sign(id, csr); err == nil || !strings.Contains(err.Error(), "which was revoked: aACompromise; such a key is never certified again") {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
	fresh, err := generateKey(cluster.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	if err := sign(auditor, parseRequest(t, requestPEM(t, x509.CertificateRequest{}, fresh))); err != nil {
		t.Fatal(err)
	}
	checkNeverAgain(t, dir)
	if got := statesOf(t, dir, c, testNow()); len(got) > 0 {
		t.Errorf("status: %q", got)
	}
}

func parseRequest(t *testing.T, text []byte) *x509.CertificateRequest {
	t.Helper()
	csr, err := ParseRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// reencoded returns a request for the same key, whose encoding has more bytes behind it.
func reencoded(t *testing.T, csr *x509.CertificateRequest, key *rsa.PrivateKey) *x509.CertificateRequest {
	t.Helper()
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var parts []asn1.RawValue
	_, err := asn1.Unmarshal(csr.RawTBSCertificateRequest, &parts)
	fail(err)
	var public struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	_, err = asn1.Unmarshal(csr.RawSubjectPublicKeyInfo, &public)
	fail(err)
	public.Key.Bytes = append(slices.Clone(public.Key.Bytes), 5, 0)
	public.Key.BitLength += 16
	parts[2].FullBytes, err = asn1.Marshal(public)
	fail(err)
	tbs, err := asn1.Marshal(parts)
	fail(err)
	sum := sha256.Sum256(tbs)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	fail(err)
	der, err := asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: asn1.NullRawValue}, asn1.BitString{Bytes: signature, BitLength: len(signature) * 8}})
	fail(err)
	other, err := x509.ParseCertificateRequest(der)
	fail(err)
	fail(other.CheckSignature())
	if slices.Equal(other.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo) || !samePublicKey(other.PublicKey, csr.PublicKey) {
		t.Fatal("it is not another encoding of the same key")
	}
	return other
}

// The key of an issuing CA was stolen: the next run replaces the CA and everything below it. Until
// then, nothing extends or recovers it.
func TestCompromisedIssuingCA(t *testing.T) {
	t.Parallel()
	for verb, renewal := range map[string]Renewal{"renew": {Due: true}, "recover": {All: true, Authorities: true}} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, withCRL)
			issue(t, dir, c, testNow())
			path := filepath.Join(dir, "authorities", PeerIssuing, caCertName)
			stolen, former := readChain(t, path)[0], leavesOf(t, dir, c)
			if _, err := revokeErr(t, dir, c, Revocation{Which: PeerIssuing, Reason: "cACompromise", Current: true}, testNow()); err != nil {
				t.Fatal(err)
			}
			if got := statesOf(t, dir, c, testNow())[PeerIssuing]; got != "revoked: was revoked: cACompromise; etcdsec pki renew "+dir {
				t.Errorf("status: %q", got)
			}
			if got := bansFound(t, dir, c, testNow())["authorities/peer-issuing/ca.crt"]; got != "was revoked: cACompromise" {
				t.Errorf("verify: %q", got)
			}
			above := "its issuer \"" + nameOf(stolen) + "\" was revoked: cACompromise"
			if got := statesOf(t, dir, c, testNow())["etcd-0/peer"]; got != "revoked: "+above+"; etcdsec pki renew "+dir {
				t.Errorf("status of the leaf below it: %q", got)
			}
			if got := bansFound(t, dir, c, testNow())["nodes/etcd-0/pki/peer.crt"]; got != above {
				t.Errorf("verify, of the leaf below it: %q", got)
			}
			// Members would refuse what it signs: a named leaf, and that of a member that its constraints do
			// not cover.
			for change, work := range map[string]*Survey{
				"renew etcd-0/peer": renew(t, dir, c, testNow(), Renewal{Names: []string{"etcd-0/peer"}}),
				"add a member":      issue(t, dir, specOf(t, 2, withCRL), testNow()),
			} {
				if !work.Due() || !readChain(t, path)[0].Equal(stolen) || !leavesOf(t, dir, c)["etcd-0/peer"].Equal(former["etcd-0/peer"]) {
					t.Errorf("%s: %+v", change, work.Steps)
				}
			}
			if there, err := exists(filepath.Join(dir, "nodes/etcd-1/pki/peer.crt")); err != nil || there {
				t.Errorf("a leaf of the new member is signed: %t, %v", there, err)
			}
			if work := issue(t, dir, c, testNow()); !work.Due() {
				t.Errorf("bootstrap says that all is well: %+v", work.Steps)
			}
			renew(t, dir, c, testNow(), renewal)
			fresh := readChain(t, path)[0]
			if samePublicKey(fresh.PublicKey, stolen.PublicKey) {
				t.Error("the CA has the same key")
			}
			leaf := readChain(t, filepath.Join(dir, "nodes/etcd-0/pki/peer.crt"))
			if leaf[0].Equal(former["etcd-0/peer"]) || !leaf[1].Equal(fresh) {
				t.Error("the leaf below it was not renewed")
			}
			list := readCRL(t, filepath.Join(dir, "nodes/etcd-0/pki/peer.crl"))
			if list.CheckSignatureFrom(fresh) != nil || len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(stolen.SerialNumber) != 0 {
				t.Errorf("the list: %+v", list.RevokedCertificateEntries)
			}
			if got := statesOf(t, dir, c, testNow()); len(got) > 0 {
				t.Errorf("status afterwards: %q", got)
			}
			checkNeverAgain(t, dir)
			checkSound(t, dir, c, testNow())
		})
	}
}

// A former certificate of a CA was revoked, and the CA still has its key.
func TestCompromisedKeyOfAnExtendedCA(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 1, ""), testNow())
	former := readChain(t, filepath.Join(dir, "authorities", ServerIssuing, caCertName))[0]
	c := specOf(t, 2, "")
	issue(t, dir, c, testNow())
	renew(t, dir, c, testNow(), Renewal{All: true}) // no file has the former one any more
	if _, err := revokeErr(t, dir, c, Revocation{Which: ServerIssuing, Reason: "cACompromise"}, testNow()); err != nil {
		t.Fatal(err)
	}
	want := "has the key of server-issuing, serial number " + SerialString(former.SerialNumber) + ", which was revoked: cACompromise"
	if got := statesOf(t, dir, c, testNow())[ServerIssuing]; !strings.HasPrefix(got, "revoked: "+want) {
		t.Errorf("status: %q", got)
	}
	renew(t, dir, c, testNow(), Renewal{Due: true})
	checkNeverAgain(t, dir)
	if got := statesOf(t, dir, c, testNow()); len(got) > 0 {
		t.Errorf("status afterwards: %q", got)
	}
}

// No list can revoke a root. A root whose key was stolen is named, and no run certifies it again.
func TestCompromisedRoot(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, "")
	issue(t, dir, c, testNow())
	old := testNow().Add(9 * 365 * day)
	renew(t, dir, c, old, Renewal{All: true, Authorities: true}) // the same key, another certificate
	if _, err := revokeErr(t, dir, c, Revocation{Which: ClientRoot, Reason: "keyCompromise"}, old); err != nil {
		t.Fatal(err)
	}
	if got := statesOf(t, dir, c, old)[ClientRoot]; !strings.Contains(got, "revoked: has the key of client-root") || !strings.Contains(got, "only another root can take its place") {
		t.Errorf("status: %q", got)
	}
	for _, after := range []time.Duration{0, 9 * 365 * day} {
		work, err := renewErr(t, dir, c, old.Add(after), Renewal{All: true, Authorities: true})
		if err == nil && !work.Due() {
			t.Errorf("after %s: %+v", after, work.Steps)
		}
	}
	if _, err := renewErr(t, dir, c, old.Add(11*365*day), Renewal{All: true, Authorities: true}); err == nil || !strings.Contains(err.Error(), "make a new store") {
		t.Errorf("an expired one: %v", err)
	}
	checkNeverAgain(t, dir)
}

// What a store revoked does not come back by adopting it.
func TestRevokedIsNotAdopted(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, "")
	issue(t, dir, c, testNow())
	store := &Store{Dir: dir}
	files, err := store.filesAt("clients/auditor")
	if err != nil {
		t.Fatal(err)
	}
	issuing := readChain(t, filepath.Join(dir, "authorities", ClientIssuing, caCertName))[0]
	root := readChain(t, filepath.Join(dir, "authorities", ClientRoot, caCertName))[0]
	for _, which := range []string{"auditor", ClientIssuing} {
		if _, err := revokeErr(t, dir, c, Revocation{Which: which, Reason: "keyCompromise", Current: true}, testNow()); err != nil {
			t.Fatal(err)
		}
	}
	for name, adoption := range map[string]Adoption{
		"clients/auditor": {Bundles: map[string][]durable.File{"clients/auditor": files}},
		ClientIssuing:     {Authorities: map[string]AdoptedCA{ClientRoot: {Certificate: root}, ClientIssuing: {Certificate: issuing}}},
	} {
		before := tree(t, dir)
		err := store.Adopt(NewPlan(c), c.YAML, adoption, testNow())
		if err == nil || !strings.Contains(err.Error(), "adopting "+name+": ") || !strings.Contains(err.Error(), "was revoked: keyCompromise") {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
			t.Errorf("changed:\n%s", diff)
		}
	}
}

// A reason can be told later: that a key was stolen is not lost because the certificate was revoked
// before, or has ended.
func TestCompromiseIsToldLater(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, withCRL)
	issue(t, dir, c, testNow())
	before := leavesOf(t, dir, c)
	revoke := func(which, reason string, now time.Time) []Entry {
		t.Helper()
		found, err := revokeErr(t, dir, c, Revocation{Which: which, Reason: reason, Current: true}, now)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	revoke("auditor", "unspecified", testNow())
	if got := revoke("auditor", "keyCompromise", testNow()); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	if got := revoke("auditor", "keyCompromise", testNow()); len(got) != 0 {
		t.Errorf("again: %+v", got)
	}
	list := readCRL(t, filepath.Join(dir, "nodes/etcd-0/pki/client.crl"))
	if len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].ReasonCode != 1 {
		t.Errorf("%+v", list.RevokedCertificateEntries)
	}
	// The certificate ended, and the next one has its key.
	later := testNow().Add(100 * day)
	renew(t, dir, c, testNow().Add(70*day), Renewal{Due: true})
	revoke(SerialString(before["etcd-0/peer"].SerialNumber), "keyCompromise", later)
	if got := statesOf(t, dir, c, later)["etcd-0/peer"]; !strings.HasPrefix(got, "revoked: has the key of etcd-0/peer") {
		t.Errorf("status: %q", got)
	}
	renew(t, dir, c, later, Renewal{})
	checkNeverAgain(t, dir)
}

// The last line of defence: whatever a survey asks for, no signature is made for a stolen key.
func TestNoSignatureForACompromisedKey(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, "")
	issue(t, dir, c, testNow())
	store, plan := &Store{Dir: dir}, NewPlan(c)
	for _, name := range []string{"clients/auditor", PeerIssuing} {
		work, err := store.Survey(t.Context(), plan, testNow(), Renewal{All: true})
		if err != nil {
			t.Fatal(err)
		}
		entries, err := ReadLedger(dir)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == name })
		work.record = recordOf([]Entry{Revocation{Reason: "keyCompromise"}.entry(entries[at], "", testNow())})
		if name == PeerIssuing {
			work.certify[name] = reasonNames
		}
		before := tree(t, dir)
		err = store.Issue(context.Background(), work, c.YAML, IssueConfig{Now: testNow()})
		if err == nil || !strings.Contains(err.Error(), name+": it has the key of "+name) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
			t.Errorf("changed:\n%s", diff)
		}
	}
}

// Two CAs may use one serial number, as those of openssl do. Then only the file tells which is meant,
// and the other certificate stays good.
func TestSerialNumberOfTwoCAs(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, "")
	issue(t, dir, c, testNow())
	auditor, peer := leavesOf(t, dir, c)["clients/auditor"], leavesOf(t, dir, c)["etcd-0/peer"]
	twin := newEntry("etcd-0/peer", RolePeer, reasonImport, c.Hash(), peer, testNow())
	twin.Event, twin.Serial, twin.CertHash = EventImport, SerialString(auditor.SerialNumber), "of another certificate"
	if err := appendLedger(dir, []Entry{twin}); err != nil {
		t.Fatal(err)
	}
	_, err := revokeErr(t, dir, c, Revocation{Which: twin.Serial, Reason: "superseded", Current: true}, testNow())
	if err == nil || !strings.Contains(err.Error(), "it means several certificates, serial number") || !strings.Contains(err.Error(), "give the PEM file") {
		t.Errorf("got %v", err)
	}
	entries, err := revokeErr(t, dir, c, Revocation{Which: "client.crt", Certificate: auditor, Reason: "superseded", Current: true}, testNow())
	if err != nil || len(entries) != 1 || entries[0].Name != "clients/auditor" {
		t.Errorf("%+v %v", entries, err)
	}
	if got := bansFound(t, dir, c, testNow()); len(got) != 1 || got["clients/auditor/client.crt"] == "" {
		t.Errorf("verify: %q", got)
	}
}

// presentable reports whether a member takes a chain, as etcd looks at it: it verifies below the root,
// and the list that the member reads has none of its serial numbers.
func presentable(t *testing.T, dir string, chain []*x509.Certificate, now time.Time) bool {
	t.Helper()
	root := readChain(t, filepath.Join(dir, "nodes/etcd-0/pki/ca.crt"))[0]
	if verifyChain(chain, root, x509.ExtKeyUsageClientAuth, now) != nil {
		return false
	}
	list := readCRL(t, filepath.Join(dir, "nodes/etcd-0/pki/client.crl"))
	return !slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
		return slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return c.SerialNumber.Cmp(e.SerialNumber) == 0 })
	})
}

// A revoked client of an issuing CA that was replaced stays refused until its certificate ends, also
// where the client has left the spec. Then the list forgets it.
func TestRevokedBelowAFormerIssuingCA(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, "  clients: [{name: backup, role: backup}]\n"+withCRL)
	issue(t, dir, c, testNow())
	renew(t, dir, c, testNow().Add(240*day), Renewal{Due: true})
	former := map[string][]*x509.Certificate{}
	for _, name := range []string{"auditor", "healthcheck", "backup"} {
		former[name] = readChain(t, filepath.Join(dir, "clients", name, "client.crt"))
	}
	now := testNow().Add(250 * day)
	renew(t, dir, c, now, Renewal{Due: true})
	issuing := readChain(t, filepath.Join(dir, "authorities", ClientIssuing, caCertName))[0]
	if samePublicKey(issuing.PublicKey, former["auditor"][1].PublicKey) {
		t.Fatal("the issuing CA was not replaced")
	}
	for _, name := range []string{"auditor", "backup"} {
		if _, err := revokeErr(t, dir, c, Revocation{Which: name, Reason: "superseded"}, now); err != nil {
			t.Fatal(err)
		}
	}
	c = specOf(t, 1, withCRL)
	end := former["auditor"][0].NotAfter
	for _, at := range []time.Time{now, now.Add(30 * day), end.Add(-time.Hour)} {
		renew(t, dir, c, at, Renewal{Due: true})
		if readCRL(t, filepath.Join(dir, "nodes/etcd-0/pki/client.crl")).CheckSignatureFrom(issuing) != nil {
			t.Errorf("%s: the list is not that of the new issuing CA", at)
		}
		if presentable(t, dir, former["auditor"], at) || presentable(t, dir, former["backup"], at) {
			t.Errorf("%s: a revoked certificate of the former CA is taken", at)
		}
		if !presentable(t, dir, former["healthcheck"], at) {
			t.Errorf("%s: another certificate of the former CA is refused", at)
		}
		if !presentable(t, dir, readChain(t, filepath.Join(dir, "clients/auditor/client.crt")), at) {
			t.Errorf("%s: the new certificate is refused", at)
		}
	}
	renew(t, dir, c, end.Add(60*day), Renewal{Due: true})
	if left := readCRL(t, filepath.Join(dir, "nodes/etcd-0/pki/client.crl")).RevokedCertificateEntries; len(left) > 0 {
		t.Errorf("the list still has %+v", left)
	}
}

// Below a CA of another tool that can sign no list, a revocation is recorded, and later runs go on: no
// member reads a list there. A CA without key usages can sign lists.
func TestRevokeBelowTheCAOfAnotherTool(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		usage x509.KeyUsage
		lists bool
	}{
		"kubeadm": {x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign, false},
		"openssl": {0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			signer := newHandMade(t, nil, nil, func(c *x509.Certificate) { c.KeyUsage = test.usage })
			folder := kubeadmFolder(t, encodeCertificates(signer.cert), signer, nil)
			found, err := ReadForeignCluster(nil, SpecConfig{Name: "found", Version: "3.6.16"}, []MemberFolder{{Member: "m0", Dir: folder}})
			if err != nil {
				t.Fatal(err)
			}
			dir, c := filepath.Join(t.TempDir(), "store"), found.Cluster
			if _, err := found.AdoptInto(dir, now, false); err != nil {
				t.Fatal(err)
			}
			issue(t, dir, c, now)
			s, err := OpenStore(dir, c)
			if err != nil {
				t.Fatal(err)
			}
			result, err := s.ApplyRevocation(context.Background(), c, Revocation{Which: "m0/server", Reason: ReasonKeyCompromise, Current: true}, now, false)
			s.Close()
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(strings.Join(result.Next, "\n"), "lacks cRLSign"); got == test.lists {
				t.Errorf("next: %q", result.Next)
			}
			renew(t, dir, c, now, Renewal{Due: true})
			if got := statesOf(t, dir, c, now); len(got) > 0 {
				t.Errorf("status: %q", got)
			}
			checkNeverAgain(t, dir)
			for _, f := range verify(t, dir, c, now) {
				if strings.Contains(f.Problem, "is not the revocation list") {
					t.Errorf("verify: %+v", f)
				}
			}
			list := filepath.Join(dir, "authorities", ClientRoot, crlName)
			if there, err := exists(list); err != nil || there != test.lists {
				t.Errorf("%s: %t, %v", list, there, err)
			}
			// Members that want lists cannot have them: the spec that asks for them is refused, not kept.
			asking := reload(t, strings.Replace(string(c.YAML), "keyAlgorithm:", "crl: true, keyAlgorithm:", 1))
			_, err = renewErr(t, dir, asking, now, Renewal{Due: true})
			if refused := err != nil && strings.Contains(err.Error(), "spec.pki.crl is true, but the key usage of") && strings.Contains(err.Error(), "replace the CA, or set spec.pki.crl: false"); refused == test.lists {
				t.Errorf("a spec with crl: true: %v", err)
			}
			if kept, err := os.ReadFile(filepath.Join(dir, SpecName)); err != nil || strings.Contains(string(kept), "crl: true") != test.lists {
				t.Errorf("the store's spec: %v\n%s", err, kept)
			}
			if test.lists && len(readCRL(t, list).RevokedCertificateEntries) != 1 {
				t.Error("the list lacks the certificate")
			}
		})
	}
}
