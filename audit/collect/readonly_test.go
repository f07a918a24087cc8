package collect_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// gateway posts to etcd's JSON gateway; the tests write and look with it, the audit does not use it.
func gateway(tb testing.TB, client *http.Client, url, body string) map[string]any {
	tb.Helper()
	response, err := client.Post(url, "application/json", bytes.NewBufferString(body))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %s %s", url, response.Status, data)
	}
	var decoded map[string]any
	if err := json.Unmarshal(data, &decoded); err != nil {
		tb.Fatalf("%s: %v in %s", url, err, data)
	}
	return decoded
}

// position is where a member stands in its log and its store.
func position(tb testing.TB, client *http.Client, base string) string {
	tb.Helper()
	status := gateway(tb, client, base+"/v3/maintenance/status", "{}")
	return fmt.Sprintf("raft index %v applied %v revision %v size %v",
		status["raftIndex"], status["raftAppliedIndex"], status["header"].(map[string]any)["revision"], status["dbSize"])
}

// settle waits until the member has agreed on the cluster's version, the last entry that
// a start of etcd makes by itself.
func settle(tb testing.TB, client *http.Client, base string) {
	tb.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		response, err := client.Get(base + "/version")
		if err != nil {
			tb.Fatal(err)
		}
		data, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			tb.Fatal(err)
		}
		if !bytes.Contains(data, []byte("not_decided")) {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("no cluster version: %s", data)
		}
	}
}

// The audit leaves no trace in a member's log or store, with and without credentials.
func TestAuditIsReadOnly(t *testing.T) {
	for _, version := range etcdtest.Versions() {
		for name, setup := range map[string]struct {
			flags  func(*site) []string
			scheme string
		}{
			"plaintext": {func(s *site) []string { return flags(s.clientPlain(), s.peerURLs("http"), "--enable-pprof") }, "http"},
			"mTLS":      {func(s *site) []string { return flags(s.clientMTLS(), s.peerSharedCA(), "--enable-pprof") }, "https"},
		} {
			t.Run(version+"/"+name, func(t *testing.T) {
				s := newSite(t)
				s.start(t, version, setup.flags(s))
				transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.clientCA.Pool(), Certificates: []tls.Certificate{s.given}}}
				defer transport.CloseIdleConnections()
				client := &http.Client{Transport: transport, Timeout: time.Minute}
				base := setup.scheme + "://" + s.client
				settle(t, client, base)
				for range 3 {
					gateway(t, client, base+"/v3/kv/put", `{"key":"a2V5","value":"dmFsdWU="}`)
				}
				// The store writes its file some time after a put; the hash of it does at once.
				gateway(t, client, base+"/v3/maintenance/hash", "{}")
				before := position(t, client, base)
				log := s.dataFiles(t)
				for range 3 {
					runAudit(t, s.endpoints(0), s.credentials())
				}
				if after := position(t, client, base); after != before {
					t.Errorf("before: %s\nafter:  %s", before, after)
				}
				if after := s.dataFiles(t); after != log {
					t.Errorf("files before:\n%s\nafter:\n%s", log, after)
				}
			})
		}
	}
}

// dataFiles lists the write-ahead log, which grows by every raft entry.
func (s *site) dataFiles(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob(s.path("data/member/wal/*.wal"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no write-ahead log: %v", err)
	}
	var list string
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list += fmt.Sprintf("%s %d\n", filepath.Base(path), len(bytes.TrimRight(data, "\x00")))
	}
	return list
}

// With etcd's authentication on, a caller without a user reads nothing, and the audit says how that was seen.
func TestAuthenticationOn(t *testing.T) {
	s := newSite(t)
	s.start(t, etcdtest.V3_6, flags(s.clientPlain(), s.peerMTLS()))
	client := &http.Client{Timeout: time.Minute}
	base := "http://" + s.client
	gateway(t, client, base+"/v3/auth/user/add", `{"name":"root","password":"correct horse"}`)
	gateway(t, client, base+"/v3/auth/role/add", `{"name":"root"}`)
	gateway(t, client, base+"/v3/auth/user/grant", `{"user":"root","role":"root"}`)
	gateway(t, client, base+"/v3/auth/enable", `{}`)

	report := runAudit(t, s.endpoints(0)[:1], collect.Credentials{})
	want := map[string]audit.Verdict{
		"client-plaintext":      audit.Fail,
		"client-anonymous-read": audit.Pass,
		"client-cert-required":  audit.Fail,
		"member-url-plaintext":  audit.Unknown,
		"version-vulnerable":    audit.Pass, // GET /version needs no user
	}
	seen := 0
	for _, r := range report.Results {
		if verdict, ok := want[r.CheckID]; ok {
			seen++
			if r.Verdict != verdict {
				t.Errorf("%s: %s, want %s: %s", r.CheckID, r.Verdict, verdict, r.Evidence)
			}
		}
	}
	if seen != len(want) {
		t.Errorf("%d results of %d", seen, len(want))
	}
}
