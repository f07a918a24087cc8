package audit_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/netns"
	"github.com/etcdsec/etcdsec/internal/oracle"
)

// A cluster with a real API server on a real etcd: the audit finds the etcd by its Pod, sees
// all its listeners, and compares the CAs of etcd with the API server's.
func TestAuditKubeconfig(t *testing.T) {
	const node = "10.99.0.1"
	if !netns.Inside(t, node+"/32") {
		return
	}
	addresses := []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(node)}
	etcd := clitest.NewIdentityOf(t, "etcd clients", time.Time{}, addresses...)
	members := clitest.NewIdentityOf(t, "etcd members", time.Time{}, addresses...)
	kubernetes := clitest.NewIdentityOf(t, "kubernetes", time.Time{}, addresses...)
	ports := etcdtest.FreePorts(t, 4)
	at := func(i int) string { return fmt.Sprintf("%s:%d", node, ports[i]) }
	client, peer, api := at(0), at(1), fmt.Sprintf("127.0.0.1:%d", ports[3])
	metrics := fmt.Sprintf("127.0.0.1:%d", ports[2])
	args := []string{
		"--name=cp-0", "--data-dir=" + t.TempDir(), "--initial-cluster=cp-0=https://" + peer,
		"--listen-client-urls=https://" + client, "--advertise-client-urls=https://" + client,
		"--cert-file=" + etcd.Cert, "--key-file=" + etcd.Key, "--trusted-ca-file=" + etcd.CAPath, "--client-cert-auth",
		"--listen-peer-urls=https://" + peer, "--initial-advertise-peer-urls=https://" + peer,
		"--peer-cert-file=" + members.Cert, "--peer-key-file=" + members.Key, "--peer-trusted-ca-file=" + members.CAPath, "--peer-client-cert-auth",
		"--listen-metrics-urls=http://" + metrics, "--enable-grpc-gateway=false",
	}
	etcdtest.Run(t, etcdtest.Config{Name: "cp-0", HealthURL: "http://" + metrics + "/health", Args: args})

	const token = "0123456789abcdef"
	k := startAPIServer(t, api, client, etcd, kubernetes, token)
	k.create(t, "/api/v1/nodes", `{"kind":"Node","apiVersion":"v1","metadata":{"name":"cp-0","labels":{"node-role.kubernetes.io/control-plane":""}}}`)
	k.patch(t, "/api/v1/nodes/cp-0/status", `{"status":{"addresses":[{"type":"InternalIP","address":"`+node+`"}]}}`)
	command, err := json.Marshal(append([]string{"etcd"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	k.create(t, "/api/v1/namespaces/kube-system/pods", `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"etcd-cp-0","labels":{"component":"etcd"}},`+
		`"spec":{"nodeName":"cp-0","hostNetwork":true,"containers":[{"name":"etcd","image":"registry.k8s.io/etcd:3.6.16-0","command":`+string(command)+`}]}}`)
	k.patch(t, "/api/v1/namespaces/kube-system/pods/etcd-cp-0/status", `{"status":{"hostIP":"`+node+`","hostIPs":[{"ip":"`+node+`"}]}}`)

	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	clitest.WriteFile(t, kubeconfig, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: prod
contexts: [{name: prod, context: {cluster: prod, user: auditor}}]
clusters: [{name: prod, cluster: {server: "https://%s", certificate-authority: %s}}]
users: [{name: auditor, user: {token: %s}}]
`, api, kubernetes.CAPath, token))

	_, stdout, stderr := clitest.Run(t, "audit", "run", "--timeout", "1m", "--kubeconfig", kubeconfig, "--cacert", etcd.CAPath, "--cert", etcd.Cert, "--key", etcd.Key, "-o", "json")
	if !strings.Contains(stderr, "warning: "+metrics+" is not audited: it is on the loopback address of cp-0") {
		t.Errorf("stderr %q", stderr)
	}
	targets, report := auditReport(t, stdout)
	for _, want := range []string{client, peer, "cp-0:Pod etcd-cp-0"} {
		if !slices.Contains(targets, want) {
			t.Errorf("%s is not among %q", want, targets)
		}
	}
	seen := map[string]audit.Verdict{}
	for _, r := range report.Results {
		seen[r.Target+" "+r.CheckID] = r.Verdict
		if r.CheckID == "listener-unseen" && !strings.Contains(r.Evidence, metrics+": it is on the loopback address of cp-0: run etcdsec audit run there") {
			t.Errorf("listener-unseen: %s", r.Evidence)
		}
	}
	for key, want := range map[string]audit.Verdict{
		client + " client-cert-required":             audit.Pass,
		client + " intent-vs-reality":                audit.Pass,
		peer + " peer-foreign-ca":                    audit.Pass,
		"cp-0:Pod etcd-cp-0 config-client-cert-auth": audit.Pass,
		"cp-0:Pod etcd-cp-0 listener-unseen":         audit.Unknown,
	} {
		if seen[key] != want {
			t.Errorf("%s: %q, want %q", key, seen[key], want)
		}
	}
	if strings.Contains(stdout+stderr, token) {
		t.Error("the token is in the output")
	}

	// A member whose Pod does not run is judged by what it declares, and its ports are unknown.
	k.create(t, "/api/v1/namespaces/kube-system/pods", `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"etcd-cp-1","labels":{"component":"etcd"}},`+
		`"spec":{"nodeName":"cp-1","hostNetwork":true,"containers":[{"name":"etcd","image":"registry.k8s.io/etcd:3.6.16-0","command":`+string(command)+`}]}}`)
	status, stdout, stderr := clitest.Run(t, "audit", "run", "--kubeconfig", kubeconfig, "--cacert", etcd.CAPath, "--cert", etcd.Cert, "--key", etcd.Key, "-o", "json")
	if _, report = auditReport(t, stdout); status != clitest.StatusFailed || !strings.Contains(stderr, "Pod etcd-cp-1 does not run") {
		t.Errorf("exit %d: %s", status, stderr)
	}
	for _, port := range []string{client, peer} {
		unknown := 0
		for _, r := range report.Results {
			if r.Target != "cp-1:"+port {
				continue
			}
			unknown++
			if r.Verdict != audit.Unknown || !strings.Contains(r.Evidence, "Pod etcd-cp-1 does not run") {
				t.Errorf("%s %s: %s %s", r.Target, r.CheckID, r.Verdict, r.Evidence)
			}
		}
		if unknown < 10 {
			t.Errorf("cp-1:%s has %d results", port, unknown)
		}
	}

	// What the user may not list is unknown.
	data, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	clitest.WriteFile(t, kubeconfig, bytes.ReplaceAll(data, []byte(token), []byte(strangerToken)))
	status, stdout, stderr = clitest.Run(t, "audit", "run", "--kubeconfig", kubeconfig, "-o", "json")
	targets, report = auditReport(t, stdout)
	if status != clitest.StatusFailed || report.Summary.Unknown == 0 {
		t.Errorf("exit %d, %+v: %s", status, report.Summary, stderr)
	}
	for _, want := range []string{"Pods of kube-system", "Pods of openshift-etcd"} {
		if !slices.Contains(targets, want) {
			t.Errorf("%s is not among %q", want, targets)
		}
	}

	// A wrong token is said, and nothing is audited.
	clitest.WriteFile(t, kubeconfig, bytes.ReplaceAll(data, []byte(token), []byte("another")))
	status, stdout, stderr = clitest.Run(t, "audit", "run", "--timeout", "1m", "--kubeconfig", kubeconfig)
	if status != clitest.StatusFailed || stdout != "" || !strings.Contains(stderr, "HTTP status 401") {
		t.Errorf("exit %d: %s%s", status, stdout, stderr)
	}
}

// strangerToken is that of a user of the API server who may do nothing.
const strangerToken = "fedcba9876543210"

// apiServer is a real kube-apiserver that the test may write to.
type apiServer struct {
	base, token string
	client      *http.Client
}

func startAPIServer(t *testing.T, address, etcdClient string, etcd, own clitest.Identity, token string) *apiServer {
	t.Helper()
	binary, err := oracle.Binary(t.Context(), "kube-apiserver", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	tokens := filepath.Join(t.TempDir(), "tokens.csv")
	clitest.WriteFile(t, tokens, []byte(token+`,auditor,1,"system:masters"`+"\n"+strangerToken+",stranger,2\n"))
	_, port, _ := strings.Cut(address, ":")
	secure := &tls.Config{RootCAs: own.CA.Pool()}
	etcdtest.Run(t, etcdtest.Config{
		Name: "kube-apiserver", Program: binary, HealthURL: "https://" + address + "/readyz", HealthTLS: secure,
		Args: []string{
			"--bind-address=127.0.0.1", "--secure-port=" + port, "--advertise-address=10.99.0.1", "--endpoint-reconciler-type=none",
			"--etcd-servers=https://" + etcdClient, "--etcd-cafile=" + etcd.CAPath, "--etcd-certfile=" + etcd.Cert, "--etcd-keyfile=" + etcd.Key,
			"--tls-cert-file=" + own.Cert, "--tls-private-key-file=" + own.Key, "--client-ca-file=" + own.CAPath,
			"--token-auth-file=" + tokens, "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
			"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + own.Key, "--service-account-signing-key-file=" + own.Key,
			"--service-cluster-ip-range=10.96.0.0/16",
		},
	})
	transport := &http.Transport{TLSClientConfig: secure}
	t.Cleanup(transport.CloseIdleConnections)
	return &apiServer{base: "https://" + address, token: token, client: &http.Client{Transport: transport, Timeout: time.Minute}}
}

func (k *apiServer) create(t *testing.T, path, object string) {
	t.Helper()
	// The server makes kube-system itself, a moment after it is ready.
	deadline := time.Now().Add(2 * time.Minute)
	for {
		status, answer := k.send(t, http.MethodPost, path, "application/json", object)
		if status == http.StatusCreated {
			return
		}
		if status != http.StatusNotFound || time.Now().After(deadline) {
			t.Fatalf("creating %s: HTTP status %d: %s", path, status, answer)
		}
	}
}

func (k *apiServer) patch(t *testing.T, path, change string) {
	t.Helper()
	if status, answer := k.send(t, http.MethodPatch, path, "application/merge-patch+json", change); status != http.StatusOK {
		t.Fatalf("changing %s: HTTP status %d: %s", path, status, answer)
	}
}

func (k *apiServer) send(t *testing.T, method, path, kind, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, k.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+k.token)
	request.Header.Set("Content-Type", kind)
	response, err := k.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}
