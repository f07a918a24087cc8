package rbac

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/kubeapi"
	"github.com/etcdsec/etcdsec/internal/kubetest"
)

// refusedWords are how kube-apiserver logs that etcd did not let it do something. That the
// "revision of auth store is old" is no refusal: a role was changed between etcd's two looks at it,
// and etcd's client asks again.
var refusedWords = regexp.MustCompile(`(?i)permission denied|permissiondenied|user name is empty|user name not found`)

// kubernetesSpec has the administrator that the tests have.
const kubernetesSpec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: "VERSION"
    members: [{name: m0, addresses: [127.0.0.1]}]
  clients: [{name: root, role: root}]
  rbac: {compaction: etcd}
`

// control is a control plane, and etcd as its administrator sees it.
type control struct {
	*kubetest.Cluster

	live  *Live
	admin *clientv3.Client
	api   *kubeapi.Client
}

func startControl(t *testing.T, version string, etcdFlags, flags []string) *control {
	t.Helper()
	c := &control{Cluster: kubetest.Start(t, kubetest.Config{Servers: 1, EtcdVersion: version, EtcdUser: "kube-apiserver", EtcdFlags: etcdFlags, Flags: flags})}
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(c.EtcdFiles.CA)
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no CA", err)
	}
	admin := holderOf(t, c.EtcdClient(t, "root"))
	c.live = &Live{Endpoints: []string{c.Etcd}, Roots: roots, Admin: admin, Narrate: t.Logf}
	c.admin, err = clientv3.New(clientv3.Config{
		Endpoints: []string{c.Etcd}, DialTimeout: time.Minute, Logger: zap.NewNop(),
		TLS: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{*admin.Certificate}, MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.admin.Close() })
	c.api = c.Servers[0].Client(t)
	return c
}

func holderOf(t *testing.T, files kubetest.Files) Client {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	return Client{Source: files.Cert, Certificate: &pair}
}

// enable makes the plan's users and roles and enables RBAC while the API server runs.
func (c *control) enable(t *testing.T, version string) {
	t.Helper()
	plan, err := planOf(t, parse(t, strings.Replace(kubernetesSpec, "VERSION", version, 1)), version)
	if err != nil {
		t.Fatal(err)
	}
	state, err := c.live.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clients := []Client{holderOf(t, c.EtcdFiles), c.live.Admin, holderOf(t, c.EtcdClient(t, "healthcheck")), holderOf(t, c.EtcdClient(t, "auditor"))}
	if _, err := c.live.Apply(t.Context(), plan, state, clients); err != nil {
		t.Fatal(err)
	}
}

// writes are of 20 KB each. After a first round of them, another two take no more than slack,
// because what was compacted makes room.
const (
	writes = 400
	slack  = 8 << 20
)

const configMaps = "/api/v1/namespaces/default/configmaps"

func (c *control) send(t *testing.T, method, path, body string) {
	t.Helper()
	if err := c.api.Send(t.Context(), method, path, "application/json", []byte(body), nil); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

// use creates, lists, watches, updates and deletes objects of several kinds, among them those
// that etcd gives a lease.
func (c *control) use(t *testing.T) {
	t.Helper()
	kinds := []struct{ path, body string }{
		{configMaps, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"k":"v"}}`},
		{"/api/v1/namespaces/default/secrets", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"stringData":{"k":"v"}}`},
		{"/apis/coordination.k8s.io/v1/namespaces/default/leases", `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"x"},"spec":{"holderIdentity":"x"}}`},
		{"/api/v1/namespaces/default/events", `{"apiVersion":"v1","kind":"Event","metadata":{"name":"x"},"involvedObject":{"namespace":"default"},"reason":"Test","message":"m","type":"Normal"}`},
		{"/apis/apiextensions.k8s.io/v1/customresourcedefinitions", `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"things.example.com"},"spec":{"group":"example.com","scope":"Namespaced","names":{"kind":"Thing","plural":"things"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}}`},
	}
	for _, kind := range kinds {
		name := "x"
		if strings.Contains(kind.path, "customresource") {
			name = "things.example.com"
		}
		var list struct {
			Metadata struct{ ResourceVersion string }
			Items    []json.RawMessage
		}
		if err := c.api.Get(t.Context(), kind.path, nil, "application/json", &list); err != nil {
			t.Fatal(err)
		}
		c.send(t, http.MethodPost, kind.path, kind.body)
		var event struct {
			Type   string
			Object struct{ Metadata struct{ Name string } }
		}
		if !strings.Contains(kind.path, "customresource") { // its status makes more events
			// The server ends the watch. On a busy machine a second is not enough for the event.
			var err error
			for seconds := 1; seconds == 1 || seconds < 100 && event.Type == ""; seconds *= 4 {
				query := url.Values{"watch": {"1"}, "timeoutSeconds": {strconv.Itoa(seconds)}, "resourceVersion": {list.Metadata.ResourceVersion}, "fieldSelector": {"metadata.name=" + name}, "limit": {"1"}}
				err = c.api.Get(t.Context(), kind.path, query, "application/json", &event)
			}
			if err != nil || event.Type != "ADDED" || event.Object.Metadata.Name != name {
				t.Errorf("watching %s: %+v, %v", kind.path, event, err)
			}
		}
		if err := c.api.Get(t.Context(), kind.path, nil, "application/json", &list); err != nil || len(list.Items) == 0 {
			t.Errorf("listing %s: %d, %v", kind.path, len(list.Items), err)
		}
		c.send(t, http.MethodDelete, kind.path+"/"+name, "")
	}
}

// update writes an object of 20 KB again and again, until the context ends or n writes are done.
func (c *control) update(ctx context.Context, n int) error {
	const name = "changing"
	body := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"k":""}}`, name)
	err := c.api.Send(ctx, http.MethodPost, configMaps, "application/json", body, nil)
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
		return err
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		value := strings.Repeat(fmt.Sprintf("%08d", i), 2500)
		body := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"k":%q}}`, name, value)
		if err := c.api.Send(ctx, http.MethodPut, configMaps+"/"+name, "application/json", body, nil); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// observe observes for four seconds, in which etcd compacts itself, and longer where that is not
// enough on a busy machine.
func (c *control) observe(t *testing.T) error {
	t.Helper()
	for d := 4 * time.Second; ; d *= 4 {
		if err := c.observeFor(t, d); err == nil || d > 2*time.Minute {
			return err
		}
	}
}

// observeFor runs ObserveCompaction while objects are written.
func (c *control) observeFor(t *testing.T, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.update(ctx, 1<<30) }()
	observed := c.live.ObserveCompaction(t.Context(), d)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return observed
}

// enableUnderLoad enables RBAC while objects are created all the time. No request may fail: etcd
// knows the user of each before it asks for one (server/etcdserver/v3_server.go, AuthInfoFromCtx).
func (c *control) enableUnderLoad(t *testing.T, version string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var writers sync.WaitGroup
	var created atomic.Int64
	const count = 8
	for w := range count {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				body := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"load-%d-%d"}}`, w, i)
				if err := c.api.Send(ctx, http.MethodPost, configMaps, "application/json", body, nil); err != nil && ctx.Err() == nil {
					t.Errorf("while RBAC was enabled: %v", err)
					return
				}
				created.Add(1)
			}
		})
	}
	c.enable(t, version)
	before := created.Load()
	if before == 0 {
		t.Error("there was no load")
	}
	// Each writer makes one more at least.
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for created.Load() < before+10*count {
		select {
		case <-deadline.C:
			t.Fatal("nothing was created any more")
		case <-tick.C:
		}
	}
	cancel()
	writers.Wait()
}

func (c *control) size(t *testing.T) int64 {
	t.Helper()
	status, err := c.admin.Status(t.Context(), c.Etcd)
	if err != nil {
		t.Fatal(err)
	}
	return status.DbSize
}

func (c *control) refusals(t *testing.T) []string {
	t.Helper()
	log, err := os.ReadFile(c.Servers[0].LogPath)
	if err != nil || len(log) == 0 {
		t.Fatalf("the log of the API server: %d bytes, %v", len(log), err)
	}
	var lines []string
	for line := range strings.Lines(string(log)) {
		if refusedWords.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestKubernetesUnderRBAC(t *testing.T) {
	if testing.Short() {
		t.Skip("a kube-apiserver; not with -short")
	}
	kubernetesUnderRBAC(t, etcdtest.V3_6)
}

// kubernetesUnderRBAC lets a real kube-apiserver live under our roles, while etcd compacts itself:
// RBAC is enabled beneath it, it works, it starts again, nothing is refused to it, and the
// database does not grow.
func kubernetesUnderRBAC(t *testing.T, version string) {
	t.Helper()
	c := startControl(t, version, []string{"--auto-compaction-mode=periodic", "--auto-compaction-retention=1s"}, []string{"--etcd-compaction-interval=0"})
	if err := c.observe(t); err != nil {
		t.Error(err)
	}
	c.enableUnderLoad(t, version)
	if err := c.observe(t); err != nil {
		t.Errorf("with RBAC: %v", err)
	}
	c.use(t)
	if err := c.update(t.Context(), writes); err != nil {
		t.Fatal(err)
	}
	before := c.size(t)
	if err := c.update(t.Context(), 2*writes); err != nil {
		t.Fatal(err)
	}
	after := c.size(t)
	if after > before+slack {
		t.Errorf("the database grew from %d to %d bytes", before, after)
	}
	t.Logf("the database: %d, then %d bytes", before, after)
	c.Servers[0].Restart(t)
	c.use(t)
	if lines := c.refusals(t); len(lines) > 0 {
		t.Errorf("etcd refused %d requests of the API server, the first:\n%s", len(lines), lines[0])
	}
}

// The combination that the plan refuses: an API server that compacts and is not root. It logs
// that it may not, and nothing is compacted any more.
func TestKubernetesThatCompactsUnderRBAC(t *testing.T) {
	if testing.Short() {
		t.Skip("a kube-apiserver; not with -short")
	}
	c := startControl(t, etcdtest.V3_6, nil, []string{"--etcd-compaction-interval=1s"})
	if err := c.observeFor(t, time.Minute); err == nil || !strings.Contains(err.Error(), "an API server compacts") {
		t.Errorf("observed: %v", err)
	}
	v, err := cluster.ParseVersion(etcdtest.V3_6)
	if err != nil {
		t.Fatal(err)
	}
	undecided := parse(t, strings.Replace(strings.Replace(kubernetesSpec, "VERSION", etcdtest.V3_6, 1), "  rbac: {compaction: etcd}\n", "", 1))
	_, err = NewPlan(undecided, v, "")
	if _, refused := errors.AsType[*Refusal](err); !refused || !strings.Contains(err.Error(), "spec.rbac.compaction") {
		t.Errorf("the plan: %v", err)
	}
	c.enable(t, etcdtest.V3_6)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for failed := regexp.MustCompile(`compact failed: .*permission denied`); !failed.MatchString(strings.Join(c.refusals(t), "")); {
		select {
		case <-ctx.Done():
			t.Fatal("the API server does not say that it may not compact")
		case <-tick.C:
		}
	}
	before := c.size(t)
	if err := c.update(t.Context(), 2*writes); err != nil {
		t.Fatal(err)
	}
	// What the other test does not see there, it would see.
	if after := c.size(t); after <= before+slack {
		t.Errorf("without compaction the database went from %d to %d bytes", before, after)
	}
}
