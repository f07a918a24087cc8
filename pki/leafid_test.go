package pki

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
)

// Whatever members and clients are called, no two leaves have one name, and the name tells the leaf.
func TestLeafNamesAreUnique(t *testing.T) {
	t.Parallel()
	words := []string{"a", "clients", "nodes", "authorities", "server", "peer", "gateway-client", "pki", ClientRoot}
	var ids []LeafID
	for _, w := range words {
		ids = append(ids, LeafID{Client: w})
		for _, role := range memberRoles() {
			ids = append(ids, LeafID{Member: w, Role: role})
		}
		for _, client := range words {
			ids = append(ids, LeafID{Member: w, Client: client})
		}
	}
	names := map[string]LeafID{}
	for _, id := range ids {
		name, role := id.String(), id.Role
		if role == "" {
			role = string(cluster.RoleBackup)
		}
		if other, twice := names[name]; twice {
			t.Errorf("%+v and %+v are both %s", id, other, name)
		}
		names[name] = id
		if got := parseLeafID(name, role); got != id {
			t.Errorf("%s is read as %+v, want %+v", name, got, id)
		}
	}
}

// The names in ledgers of versions before the long forms, and the usual ones, which did not change.
func TestLeafNamesOfLedgers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, role string
		want       LeafID
	}{
		{"etcd-0/server", RoleServer, LeafID{Member: "etcd-0", Role: RoleServer}},
		{"etcd-0/gateway-client", RoleGatewayClient, LeafID{Member: "etcd-0", Role: RoleGatewayClient}},
		{"etcd-0/kube-apiserver", "kubernetes", LeafID{Member: "etcd-0", Client: "kube-apiserver"}},
		{"clients/backup", "backup", LeafID{Client: "backup"}},
		{"clients/server", "backup", LeafID{Client: "server"}},
		{"clients/server", RoleServer, LeafID{Member: "clients", Role: RoleServer}},
		{"nodes/peer", RolePeer, LeafID{Member: "nodes", Role: RolePeer}},
		{"etcd-0/server", "kubernetes", LeafID{Member: "etcd-0", Client: "server"}},
	} {
		if got := parseLeafID(tc.name, tc.role); got != tc.want {
			t.Errorf("%s, %s: %+v, want %+v", tc.name, tc.role, got, tc.want)
		}
	}
}

// collidingSpecs have members and clients whose leaves once had one name.
func collidingSpecs(t *testing.T) map[string]*cluster.Cluster {
	t.Helper()
	const head = "apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: test}\nspec:\n  etcd:\n    version: \"3.6.16\"\n    enableGRPCGateway: true\n    members:\n" +
		"      - {name: clients, addresses: [10.0.0.11]}\n      - {name: nodes, addresses: [10.0.0.12]}\n      - {name: client-root, addresses: [10.0.0.13]}\n"
	clients := func(names ...string) string {
		text := "  clients:\n"
		for i, name := range names {
			text += "    - {name: " + name + ", role: " + []string{"kubernetes", "healthcheck", "backup", "monitoring", "backup"}[i] + "}\n"
		}
		return text
	}
	return map[string]*cluster.Cluster{
		"etcdsec": reload(t, head+clients("server", "peer", "gateway-client", "authorities", "client-issuing")+"  pki: {crl: true}\n"),
		"kubeadm": reload(t, head+clients("server", "peer", "gateway-client", "crl")+"  pki: {crl: true, layout: kubeadm}\n"),
	}
}

// Each bundle has its own certificates, and a renewal or revocation of one leaves the other as it is.
func TestCollidingNames(t *testing.T) {
	t.Parallel()
	for layout, c := range collidingSpecs(t) {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			issue(t, dir, c, testNow())
			plan := NewPlan(c)
			check := func() {
				t.Helper()
				for _, b := range plan.Bundles {
					for _, l := range b.Leaves {
						cert := readChain(t, filepath.Join(dir, b.Path, l.CertFile))[0]
						holder := l.ID.Member
						if l.ID.Client != "" {
							holder = l.ID.Client
						}
						if cert.Subject.CommonName != holder || !sameEKUs(cert.ExtKeyUsage, l.EKUs) {
							t.Errorf("%s/%s is that of %s, want %s", b.Path, l.CertFile, cert.Subject.CommonName, holder)
						}
					}
				}
				if got := statesOf(t, dir, c, testNow()); len(got) > 0 {
					t.Errorf("status: %q", got)
				}
				for _, f := range verify(t, dir, c, testNow()) {
					if !strings.HasPrefix(f.Problem, "is a root's key in plain text") {
						t.Errorf("verify: %s: %s", f.Path, f.Problem)
					}
				}
				checkSound(t, dir, c, testNow())
			}
			check()
			for l := range plan.leaves() {
				before := leavesOf(t, dir, c)
				renew(t, dir, c, testNow(), Renewal{Names: []string{l.Name}, NewKey: true})
				changed, _ := renewed(before, leavesOf(t, dir, c))
				if diff := cmp.Diff([]string{l.Name}, changed); diff != "" {
					t.Errorf("renew %s (-want +got):\n%s", l.Name, diff)
				}
			}
			for l := range plan.leaves() {
				entries, err := revokeErr(t, dir, c, Revocation{Which: l.Name, Reason: "keyCompromise"}, testNow())
				if err != nil || len(entries) != 1 || entries[0].holder() != holderOf(l) {
					t.Errorf("revoke %s: %+v %v", l.Name, entries, err)
				}
			}
			check()
		})
	}
}

// A name that means several things in a ledger is not guessed.
func TestAmbiguousNames(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	// etcd-1 was a member, and is a client now; client-issuing is a client, and an authority.
	issue(t, dir, specOf(t, 2, ""), testNow())
	c := specOf(t, 1, "  clients: [{name: etcd-1, role: backup}, {name: client-issuing, role: backup}]\n")
	issue(t, dir, c, testNow())
	cases := map[string]struct {
		which string
		exact []string // in the error
		want  []string // revoked
	}{
		"a member and a client":     {which: "etcd-1", exact: []string{"nodes/etcd-1", "clients/etcd-1"}},
		"an authority and a client": {which: "client-issuing", exact: []string{"authorities/client-issuing", "clients/client-issuing"}},
		"the member":                {which: "nodes/etcd-1", want: []string{"etcd-1/server", "etcd-1/peer"}},
		"the client":                {which: "clients/etcd-1", want: []string{"clients/etcd-1"}},
		"the client, not the CA":    {which: "clients/client-issuing", want: []string{"clients/client-issuing"}},
		"the CA, not the client":    {which: "authorities/client-issuing", want: []string{"client-issuing"}},
	}
	store := &Store{Dir: dir}
	for name, tc := range cases {
		entries, err := store.PlanRevocation(NewPlan(c), Revocation{Which: tc.which, Reason: "superseded", Current: true}, testNow())
		if ambiguous, ok := errors.AsType[*AmbiguousNameError](err); ok != (tc.exact != nil) || ok && !slices.Equal(ambiguous.Exact, tc.exact) || err != nil && !ok {
			t.Errorf("%s: %v, want %q", name, err, tc.exact)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Name)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A client's name can be a serial number of a certificate that another tool made.
func TestNameThatIsASerialNumber(t *testing.T) {
	t.Parallel()
	dir, c := filepath.Join(t.TempDir(), "store"), specOf(t, 1, "  clients: [{name: \"02\", role: backup}]\n")
	issue(t, dir, c, testNow())
	if _, err := (&Store{Dir: dir}).PlanRevocation(NewPlan(c), Revocation{Which: "02", Reason: "superseded", Current: true}, testNow()); err != nil {
		t.Errorf("the name alone: %v", err)
	}
	twin := newEntry("etcd-0/peer", RolePeer, reasonImport, c.Hash(), leavesOf(t, dir, c)["etcd-0/peer"], testNow())
	twin.Event, twin.Serial, twin.CertHash, twin.NotAfter = EventImport, "02", "of another certificate", testNow().Add(time.Hour)
	if err := appendLedger(dir, []Entry{twin}); err != nil {
		t.Fatal(err)
	}
	_, err := (&Store{Dir: dir}).PlanRevocation(NewPlan(c), Revocation{Which: "02", Reason: "superseded", Current: true}, testNow())
	if err == nil || !strings.Contains(err.Error(), "serial number 02 of etcd-0/peer") || !strings.Contains(err.Error(), "of clients/02") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "clients/02/client.crt")); err != nil {
		t.Error(err)
	}
}
