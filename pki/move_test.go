package pki

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cluster"
)

// applied renews what is due by a spec, and returns what the operator must do next.
func applied(t *testing.T, dir string, c *cluster.Cluster) string {
	t.Helper()
	s, err := OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	result, err := s.Apply(context.Background(), c, Change{Renewal: Renewal{Due: true}}, IssueConfig{Now: testNow()})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(AfterRenewal(c, result), "\n")
}

// inOrder reports whether a text has all parts, each after the one before.
func inOrder(text string, parts ...string) bool {
	for _, part := range parts {
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = after
	}
	return true
}

// A member that moves: what must happen, in which order, and certificates that are valid at both
// addresses until it has moved.
func TestMove(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	old := specOf(t, 3, "")
	issue(t, dir, old, testNow())
	move := func(extra string) *cluster.Cluster {
		return reload(t, strings.Replace(string(old.YAML), "{name: etcd-1, addresses: [10.0.0.12", "{name: etcd-1, "+extra+"addresses: [10.0.0.99", 1))
	}
	order := []string{
		"copy " + dir + "/nodes/etcd-1/pki",
		"restart nothing for the certificates",
		"etcdsec bootstrap -f " + dir + "/cluster.yaml " + dir,
		"etcdctl member update ID --peer-urls=https://10.0.0.99:2380",
		"give the node of etcd-1 the address 10.0.0.99, copy nodes/etcd-1 to it, and restart etcd there",
		"the endpoint https://10.0.0.99:2379",
	}
	// Both addresses: nothing stops being valid, and the old one goes in the end.
	both := move("extraNames: [10.0.0.12], ")
	next := applied(t, dir, both)
	if !inOrder(next, append(order, "when etcd-1 has moved, remove its old address from the spec")...) || strings.Contains(next, "before you copy") {
		t.Errorf("next:\n%s", next)
	}
	for _, host := range []string{"10.0.0.12", "10.0.0.99"} {
		for _, leaf := range []string{"etcd-1/server", "etcd-1/peer"} {
			if err := leavesOf(t, dir, both)[leaf].VerifyHostname(host); err != nil {
				t.Error(err)
			}
		}
	}
	next = applied(t, dir, move(""))
	if !strings.Contains(next, "before you copy: the new certificates of etcd-1 are not valid for IP:10.0.0.12 any more") || strings.Contains(next, "member update") {
		t.Errorf("next, when the old address goes:\n%s", next)
	}
	// At once: the warning comes first, with the names to add.
	next = applied(t, dir, old)
	if !inOrder(next, "before you copy: etcd-1 moves to 10.0.0.12, and its new certificates are not valid for IP:10.0.0.99 any more",
		"add to etcd-1 in the spec: extraNames: [10.0.0.99]", "copy ", "etcdctl member update ID --peer-urls=https://10.0.0.12:2380") {
		t.Errorf("next, without an overlap:\n%s", next)
	}
	// Nothing moves: nothing is to be done.
	if next := applied(t, dir, old); next != "" {
		t.Errorf("next, when nothing changed:\n%s", next)
	}
}

// The certificates of an imported member keep its old address, which the spec does not have: it goes with
// the import, after the move.
func TestMoveOfAnImportedMember(t *testing.T) {
	t.Parallel()
	o := newOtherTool(t)
	names := []string{"IP:10.0.0.10", "DNS:etcd-0"}
	folder := o.member(otherLeaf{cn: "etcd-0", names: names, ekus: bothAuth}, otherLeaf{cn: "etcd-0", names: names, ekus: bothAuth}, otherLeaf{cn: "kube-apiserver", ekus: clientAuth})
	found, store := adopt(t, nil, folder)
	moved := reload(t, strings.Replace(string(found.Cluster.YAML), "10.0.0.10", "10.0.0.99", 1))
	next := applied(t, store, moved)
	if !inOrder(next, "etcdctl member update ID --peer-urls=https://10.0.0.99:2380", "when etcd-0 has moved, drop what its certificates keep from their import, IP:10.0.0.10, if nobody needs it: etcdsec pki renew -f SPEC "+store+" etcd-0 --forget-import") ||
		strings.Contains(next, "remove its old address from the spec") || strings.Contains(next, "before you copy") {
		t.Errorf("next:\n%s", next)
	}
	renew(t, store, moved, testNow(), Renewal{Names: []string{"etcd-0"}, ForgetImport: true})
	if leavesOf(t, store, moved)["etcd-0/peer"].VerifyHostname("10.0.0.10") == nil {
		t.Error("the old address is still there")
	}
}

// The names to add to a spec are written as a spec has them, and only those that it can have.
func TestMoveNamesToAdd(t *testing.T) {
	t.Parallel()
	m := specOf(t, 1, "").Etcd.Members[0]
	v := move{member: m, moved: true, gone: Names{DNS: []string{"10.0.0.7", "Old.example"}, Emails: []string{"ops@example.com"}}}
	if got, want := v.warn("store"), `in the spec: extraNames: ["Old.example", "ops@example.com"], and`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	v.gone = Names{DNS: []string{"10.0.0.7"}}
	if got := v.warn("store"); strings.Contains(got, "extraNames") || !strings.Contains(got, "not valid for DNS:10.0.0.7 any more") {
		t.Errorf("got %s", got)
	}
}

// A configuration that gives others an address that is not the spec's, or for which the certificate is
// not valid, is found.
func TestVerifyConfigurations(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 2, "")
	issue(t, dir, c, testNow())
	s := &Store{Dir: dir}
	at := func(host string, peer bool) ConfiguredHost {
		return ConfiguredHost{File: "nodes/etcd-1/etcd.conf.yaml", Setting: "x-urls", Member: "etcd-1", Host: host, Peer: peer}
	}
	for name, tc := range map[string]struct {
		host ConfiguredHost
		want string
	}{
		"as the spec says":                {at("10.0.0.12", true), ""},
		"another of its names":            {at("127.0.0.1", false), "x-urls has 127.0.0.1 for etcd-1, but the spec says 10.0.0.12"},
		"an address of nobody, to peers":  {at("10.0.0.99", true), "x-urls has 10.0.0.99 for etcd-1, but the spec says 10.0.0.12, and nodes/etcd-1/pki/peer.crt is not valid for 10.0.0.99, so whoever comes there refuses the member"},
		"an address of nobody, to others": {at("10.0.0.99", false), "nodes/etcd-1/pki/server.crt is not valid for 10.0.0.99"},
		"not readable":                    {ConfiguredHost{File: "x", Fault: os.ErrPermission}, "cannot be read: permission denied"},
		"a member that is gone":           {ConfiguredHost{File: "x", Member: "etcd-9", Host: "10.0.0.99"}, ""},
	} {
		var problems []string
		for _, f := range s.VerifyConfigurations(c, []ConfiguredHost{tc.host}) {
			problems = append(problems, f.Problem)
		}
		if got := strings.Join(problems, "\n"); !strings.Contains(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}
