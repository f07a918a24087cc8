package manifests

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/netns"
)

// A spec with scrapers makes metrics reachable from outside, for client certificates alone; the
// probes of the node still need none.
func TestScrapedMetrics(t *testing.T) {
	if !netns.Inside(t, "10.99.0.1/32") {
		return
	}
	for _, runtime := range []string{"static-pod", "hosted"} {
		t.Run(runtime, func(t *testing.T) {
			dir := t.TempDir()
			settings := fmt.Sprintf("runtime: %s\n    pkiDir: \"%s/store/nodes/{{.Name}}/pki\"\n    dataDir: \"%s/data-{{.Name}}\"", runtime, dir, dir)
			c := load(t, "\n      - {name: etcd-0, addresses: [10.99.0.1]}\n  clients:\n    - {name: prometheus, role: monitoring}\n  isolation: {scrapers: [10.99.0.40/32]}", "3.6.16", settings)
			store := filepath.Join(dir, "store")
			issue(t, c, store)
			files, err := Member(c, c.Etcd.Members[0])
			if err != nil {
				t.Fatal(err)
			}
			pair, err := tls.LoadX509KeyPair(filepath.Join(store, "clients/prometheus/client.crt"), filepath.Join(store, "clients/prometheus/client.key"))
			if err != nil {
				t.Fatal(err)
			}
			with := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}} // who may come in is asked, not who answers
			etcdtest.Run(t, etcdtest.Config{
				Name: "etcd-0", Version: etcdtest.V3_6, Dir: dir, Args: arguments(t, dir, files[0]),
				HealthURL: "https://10.99.0.1:2381/health", HealthTLS: with,
			})
			if body, err := scrape("https://10.99.0.1:2381/metrics", with); err != nil || !strings.Contains(body, "etcd_server_has_leader 1") {
				t.Errorf("with a client certificate: %v, %.80q", err, body)
			}
			if _, err := scrape("https://10.99.0.1:2381/metrics", &tls.Config{InsecureSkipVerify: true}); err == nil {
				t.Error("metrics are given out without a certificate")
			}
			if body, err := scrape("http://10.99.0.1:2381/metrics", nil); err == nil && !strings.Contains(body, "HTTP request to an HTTPS server") {
				t.Errorf("metrics are given out in plaintext: %.80q", body)
			}
			if _, err := scrape("http://127.0.0.1:2381/health", nil); err != nil && runtime == "static-pod" {
				t.Errorf("a probe on loopback: %v", err)
			}
		})
	}
}

func scrape(url string, config *tls.Config) (string, error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: time.Minute}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return string(body), err
}
