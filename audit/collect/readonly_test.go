package collect_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// asRoot is a client with a certificate of root, whom etcd lets do everything also where its
// authentication is on. What the server shows is not verified. With a password, root is a user
// where names of certificates are not looked at.
func (s *site) asRoot(t *testing.T, scheme, password string) *clientv3.Client {
	t.Helper()
	config := clientv3.Config{Endpoints: []string{scheme + "://" + s.client}, Logger: quiet(), DialTimeout: time.Minute}
	if scheme == "https" {
		leaf := newLeaf(t, s.clientCA, throwaway.Leaf{CommonName: root, EKUs: bothEKUs})
		config.TLS = &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{leaf}}
	}
	if password != "" {
		config.Username, config.Password = root, password
	}
	client, err := clientv3.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// position is where a member stands in its log and its store.
func position(t *testing.T, client *clientv3.Client) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	status, err := client.Status(ctx, client.Endpoints()[0])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("raft index %d, applied %d, revision %d", status.RaftIndex, status.RaftAppliedIndex, status.Header.Revision)
}

// settle waits until every member has written its name into the cluster's list and all have
// agreed on the cluster's version: the last entries that a start of etcd makes by itself.
func (s *site) settle(t *testing.T, client *clientv3.Client, metricsTLS *tls.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	last := ""
	for ctx.Err() == nil {
		list, err := client.MemberList(ctx)
		if err != nil {
			t.Fatal(err)
		}
		unnamed := slices.ContainsFunc(list.Members, func(m *etcdserverpb.Member) bool { return m.Name == "" })
		last = s.metricsPage(t, metricsTLS)
		if !unnamed && strings.Contains(last, "\netcd_cluster_version{") {
			return
		}
	}
	t.Fatalf("the cluster does not settle; metrics:\n%s", last)
}

func (s *site) metricsPage(t *testing.T, config *tls.Config) string {
	t.Helper()
	scheme := "http"
	if config != nil {
		scheme = "https"
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Get(scheme + "://" + s.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	page, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
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
		list += fmt.Sprintf("%s %d\n", filepath.Base(path), usedLength(t, path))
	}
	return list
}

// usedLength returns how much of a log file is written. etcd reserves 64 MiB of zeros for each,
// which would take longer to read than an audit takes.
func usedLength(t *testing.T, path string) int {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const block = 64 << 10 // more zeros than a record has here
	used, zeros, part := 0, make([]byte, block), make([]byte, block)
	for at := 0; ; at += block {
		n, err := io.ReadFull(file, part)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		if bytes.Equal(part[:n], zeros[:n]) {
			return used
		}
		used = at + len(bytes.TrimRight(part[:n], "\x00"))
	}
}
