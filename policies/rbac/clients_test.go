package rbac

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
	"github.com/etcdsec/etcdsec/internal/clientcert"
	"github.com/etcdsec/etcdsec/pki"
)

// issueStore makes a store with every certificate of a spec.
func issueStore(t *testing.T, c *cluster.Cluster, now time.Time) string {
	t.Helper()
	dir := t.TempDir()
	store, err := pki.OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	work, err := store.Survey(t.Context(), pki.NewPlan(c), now, pki.Renewal{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Issue(t.Context(), work, c.YAML, pki.IssueConfig{Now: now, Backend: pki.BackendStd}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestStoreClients(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := specOf(t, "3.6.16")
	dir := issueStore(t, c, now)
	clients, err := StoreClients(dir, c, now)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, client := range clients {
		names = append(names, client.CommonName())
		if at := slices.IndexFunc(c.Clients, func(of cluster.Client) bool { return of.Name == client.CommonName() }); at < 0 || c.Clients[at].Role != client.Role {
			t.Errorf("%s has role %q", client.CommonName(), client.Role)
		}
	}
	if diff := cmp.Diff([]string{"kube-apiserver", "healthcheck", "auditor", "backup", "prometheus", "alice"}, names); diff != "" {
		t.Errorf("clients (-want +got):\n%s", diff)
	}
	if admin, ok := Administrator(clients); !ok || admin.CommonName() != "alice" {
		t.Errorf("the administrator is %q, %t", admin.CommonName(), ok)
	}
	if _, err := StoreRoots(dir); err != nil {
		t.Error(err)
	}

	// A key that is elsewhere is no fault; a file that is spoilt is one, and the others stay.
	if err := os.Remove(filepath.Join(dir, "clients", "backup", "client.key")); err != nil {
		t.Fatal(err)
	}
	spoilt := filepath.Join(dir, "clients", "auditor", "client.crt")
	if err := os.Remove(spoilt); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(spoilt, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	clients, err = StoreClients(dir, c, now)
	if err == nil || !strings.Contains(err.Error(), spoilt) || len(clients) != 4 {
		t.Errorf("%d clients, %v", len(clients), err)
	}
	clients, err = StoreClients(dir, c, now.Add(100*24*time.Hour))
	if _, expired := errors.AsType[*clientcert.ValidityError](err); !expired || len(clients) != 0 {
		t.Errorf("%d clients that are expired, %v", len(clients), err)
	}
	if _, ok := Administrator(clients); ok {
		t.Error("nobody is an administrator")
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	c := specOf(t, "3.6.16")
	for _, test := range []struct {
		written, want []string
	}{
		{nil, []string{"127.0.0.1:2379"}},
		{[]string{"a:1", "https://b:2", "https://[::1]:3/"}, []string{"a:1", "b:2", "[::1]:3"}},
		{[]string{"http://a:1"}, nil},
		{[]string{"a"}, nil},
		{[]string{"https://a:1/path"}, nil},
		{[]string{"user@a:1"}, nil},
		{[]string{":1"}, nil},
		{[]string{""}, nil},
	} {
		got, err := Endpoints(test.written, c)
		if diff := cmp.Diff(test.want, got); diff != "" || (err == nil) != (test.want != nil) {
			t.Errorf("%q: %v\n%s", test.written, err, diff)
		}
	}
}

// Whoever holds a certificate that is in use is a user, the administrator stays one, and every
// user is tried.
func TestCheckUsers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := specOf(t, "3.6.16")
	dir := issueStore(t, c, now)
	p, err := planOf(t, c, "3.6.16")
	if err != nil {
		t.Fatal(err)
	}
	clients, err := StoreClients(dir, c, now)
	if err != nil {
		t.Fatal(err)
	}
	admin, _ := Administrator(clients)
	auditor := clients[2]
	server := filepath.Join(dir, "nodes", "m0", "pki", "server.crt")
	for name, test := range map[string]struct {
		also  []string
		admin Client
		want  string
	}{
		"all are users":         {[]string{admin.Source}, admin, ""},
		"a server is none":      {[]string{server}, admin, `server.crt: the plan has no user for its CN "m0"`},
		"no certificate":        {[]string{filepath.Join(dir, "cluster.yaml")}, admin, "no PEM certificate in it"},
		"who would not be root": {nil, auditor, "does not give user auditor role root"},
	} {
		err := p.CheckUsers(clients, test.also, test.admin)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if untried := p.Untried(clients); len(untried) != 0 {
		t.Errorf("untried: %q", untried) // root is etcd's own, and no client's
	}
	if untried := p.Untried(clients[1:]); !slices.Equal(untried, []string{"kube-apiserver"}) {
		t.Errorf("untried: %q", untried)
	}
}

// What does not name a certificate and its key is refused before a file is read.
func TestLoadClients(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"client.crt", "client.crt,", ",client.key"} {
		_, err := LoadClients(nil, []string{bad}, time.Now())
		if e, syntax := errors.AsType[*PairSyntaxError](err); !syntax || e.Error() != bad+": want CERT,KEY" {
			t.Errorf("%s: got %v", bad, err)
		}
	}
	dir := t.TempDir()
	_, err := LoadClients(nil, []string{filepath.Join(dir, "a.crt") + "," + filepath.Join(dir, "a.key")}, time.Now())
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if clients, err := LoadClients(nil, nil, time.Now()); clients != nil || err != nil {
		t.Errorf("got %v, %v", clients, err)
	}
}

// A prefix of every key, or of none of kube-apiserver's, is refused with one that may be meant.
func TestCheckPrefix(t *testing.T) {
	t.Parallel()
	for prefix, instead := range map[string]string{"": DefaultPrefix, "/": DefaultPrefix, "registry/": "/registry", "registry": "/registry"} {
		if err := CheckPrefix(prefix); err == nil || err.Instead != instead {
			t.Errorf("%q: got %+v, want %s", prefix, err, instead)
		}
	}
	for _, good := range []string{DefaultPrefix, "/registry/", "/a/b"} {
		if err := CheckPrefix(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}
