package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

const withCRL = "  pki: {crl: true}\n"

func revokeErr(t testing.TB, dir string, c *cluster.Cluster, r Revocation, now time.Time) ([]Entry, error) {
	t.Helper()
	store, err := OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	entries, err := store.PlanRevocation(NewPlan(c), r, now)
	if err != nil {
		return nil, err
	}
	if err := store.Revoke(entries); err != nil {
		return nil, err
	}
	work, err := store.Survey(t.Context(), NewPlan(c), now, Renewal{ListsOnly: true})
	if err != nil {
		return nil, err
	}
	return entries, store.Issue(context.Background(), work, c.YAML, IssueConfig{Now: now})
}

func readCRL(t testing.TB, path string) *x509.RevocationList {
	t.Helper()
	der, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A name means what is valid and not in use, so that renewing with a new key and revoking
// shuts out the thief alone.
func TestRevokeByName(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 2, withCRL)
	issue(t, dir, c, testNow())
	stolen := leavesOf(t, dir, c)["clients/auditor"]
	r := Revocation{Which: "auditor", Reason: "keyCompromise"}
	if _, err := revokeErr(t, dir, c, r, testNow()); !errors.Is(err, ErrCurrent) {
		t.Errorf("the one in use: %v", err)
	}
	renew(t, dir, c, testNow(), Renewal{Names: []string{"auditor"}, NewKey: true})
	entries, err := revokeErr(t, dir, c, r, testNow())
	if err != nil || len(entries) != 1 || entries[0].Serial != SerialString(stolen.SerialNumber) {
		t.Fatalf("%+v %v", entries, err)
	}
	if again, err := revokeErr(t, dir, c, r, testNow()); err != nil || len(again) != 0 {
		t.Errorf("again: %v %v", again, err)
	}
	for _, m := range []string{"etcd-0", "etcd-1"} {
		client := readCRL(t, filepath.Join(dir, "nodes", m, "pki", "client.crl"))
		if len(client.RevokedCertificateEntries) != 1 || client.RevokedCertificateEntries[0].SerialNumber.Cmp(stolen.SerialNumber) != 0 {
			t.Errorf("%s: %+v", m, client.RevokedCertificateEntries)
		}
		peer := readCRL(t, filepath.Join(dir, "nodes", m, "pki", "peer.crl"))
		if len(peer.RevokedCertificateEntries) != 0 || peer.Number.Cmp(client.Number) == 0 {
			t.Errorf("%s: %+v, numbers %v and %v", m, peer.RevokedCertificateEntries, client.Number, peer.Number)
		}
	}
	offline(t, dir)
	if found := verify(t, dir, c, testNow()); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	c := specOf(t, 2, withCRL)
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	leaf := leavesOf(t, dir, c)["etcd-1/peer"]
	serial := SerialString(leaf.SerialNumber)
	issuing := readChain(t, filepath.Join(dir, "authorities", PeerIssuing, "ca.crt"))[0]
	foreign, err := throwaway.New(throwaway.Config{CommonName: "x", NotBefore: testNow(), NotAfter: testNow().Add(day)})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name  string
		r     Revocation
		after time.Duration
		want  string // in the error; empty: revoked
	}{
		{"unknown name", Revocation{Which: "etcd-7", Reason: "unspecified"}, 0, "no such name or serial number"},
		{"unknown reason", Revocation{Which: serial, Reason: "boredom"}, 0, `no reason "boredom"`},
		{"an authority in use", Revocation{Which: SerialString(issuing.SerialNumber), Reason: "cACompromise"}, 0, "in use, and so is what it issued"},
		{"a root in use", Revocation{Which: PeerRoot, Reason: "cACompromise", Current: true}, 0, "no list can revoke a root"},
		{"not of this store", Revocation{Which: "x.crt", Certificate: foreign.Certificate(), Reason: "unspecified"}, 0, "not in the ledger"},
		{"in use", Revocation{Which: serial, Reason: "unspecified"}, 0, "in use by etcd-1/peer"},
		{"expired", Revocation{Which: serial, Reason: "unspecified", Current: true}, 100 * day, "already expired"},
		{"by serial, as openssl prints it", Revocation{Which: withColons(serial), Reason: "superseded", Current: true}, 0, ""},
		{"again", Revocation{Which: serial, Reason: "superseded", Current: true}, 0, ""},
		{"by certificate", Revocation{Which: "client.crt", Certificate: leavesOf(t, dir, c)["clients/auditor"], Reason: "unspecified", Current: true}, 0, ""},
	}
	for _, tc := range cases { // in this order
		_, err := revokeErr(t, dir, c, tc.r, testNow().Add(tc.after))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
	peer := readCRL(t, filepath.Join(dir, "nodes/etcd-0/pki/peer.crl"))
	if len(peer.RevokedCertificateEntries) != 1 || peer.RevokedCertificateEntries[0].ReasonCode != 4 || peer.CheckSignatureFrom(issuing) != nil {
		t.Errorf("%+v", peer.RevokedCertificateEntries)
	}
	var problems []string
	for _, f := range verify(t, dir, c, testNow()) {
		problems = append(problems, f.Path+": "+f.Problem)
	}
	if text := strings.Join(problems, "\n"); !strings.Contains(text, "nodes/etcd-1/pki/peer.crt: was revoked: superseded") || !strings.Contains(text, "clients/auditor/client.crt: was revoked: unspecified") {
		t.Errorf("verify says:\n%s", text)
	}
}

func withColons(serial string) string {
	var parts []string
	for i := 0; i < len(serial); i += 2 {
		parts = append(parts, strings.ToUpper(serial[i:i+2]))
	}
	return strings.Join(parts, ":")
}

// A list is signed anew before its next update, forgets what has expired, and never uses a
// number twice; a bundle that lost its list gets it back.
func TestListsStayCurrent(t *testing.T) {
	t.Parallel()
	c := specOf(t, 1, withCRL)
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, c, testNow())
	if _, err := revokeErr(t, dir, c, Revocation{Which: "auditor", Reason: "unspecified", Current: true}, testNow()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "nodes/etcd-0/pki/client.crl")
	first := readCRL(t, path)
	renew(t, dir, c, testNow().Add(30*day), Renewal{Due: true})
	if again := readCRL(t, path); again.Number.Cmp(first.Number) != 0 {
		t.Error("signed anew long before its next update")
	}
	renew(t, dir, c, testNow().Add(100*day), Renewal{Due: true})
	again := readCRL(t, path)
	if again.Number.Cmp(first.Number) <= 0 || len(again.RevokedCertificateEntries) != 0 || !again.NextUpdate.After(first.NextUpdate) {
		t.Errorf("number %v after %v, %d entries, next update %v", again.Number, first.Number, len(again.RevokedCertificateEntries), again.NextUpdate)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	renew(t, dir, c, testNow().Add(100*day), Renewal{Due: true})
	if back := readCRL(t, path); back.Number.Cmp(again.Number) != 0 {
		t.Error("another list than the others have")
	}
}
