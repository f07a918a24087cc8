package collect_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// ring is a cluster of several hardened members, which share the files of a site.
type ring struct {
	*site
	sites   []*site // one for each member
	members []*etcdtest.Member
}

// memberChange is what one member of a ring has otherwise.
type memberChange struct {
	version string
	flags   func(at *site) []string
}

func startRing(t *testing.T, changes ...memberChange) *ring {
	t.Helper()
	r := &ring{site: newSite(t)}
	ports := etcdtest.FreePorts(t, 3*len(changes))
	var initial []string
	for i := range changes {
		at := *r.site
		at.client, at.peer, at.metrics = address(ports[3*i]), address(ports[3*i+1]), address(ports[3*i+2])
		r.sites = append(r.sites, &at)
		initial = append(initial, fmt.Sprintf("m%d=https://%s", i, at.peer))
	}
	var configs []etcdtest.Config
	for i, change := range changes {
		configs = append(configs, r.config(i, change, strings.Join(initial, ",")))
	}
	r.members = etcdtest.Run(t, configs...)
	return r
}

// config is that of member i. Of a flag that is given twice, etcd takes the last.
func (r *ring) config(i int, change memberChange, initial string) etcdtest.Config {
	at := r.sites[i]
	args := flags(at.clientMTLS(), at.peerMTLS(), fmt.Sprintf("--name=m%d", i), "--data-dir="+filepath.Join(r.dir, fmt.Sprintf("data%d", i)),
		"--listen-metrics-urls=http://"+at.metrics, "--initial-cluster="+initial)
	if change.flags != nil {
		args = append(args, change.flags(at)...)
	}
	return etcdtest.Config{Name: fmt.Sprintf("m%d", i), Version: change.version, HealthURL: "http://" + at.metrics + "/health", Args: args}
}

// listeners are all ports of the first n members.
func (r *ring) listeners(n int) []collect.Endpoint {
	var all []collect.Endpoint
	for _, at := range r.sites[:n] {
		all = append(all, at.endpoints(0)...)
	}
	return all
}

// etcd is a client of a member, for what the audit does not do.
func (s *site) etcd(t *testing.T) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"https://" + s.client}, Logger: quiet(),
		TLS: &tls.Config{RootCAs: s.clientCA.Pool(), Certificates: []tls.Certificate{s.given}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// auditClusters audits listeners, and their clusters, as at a time.
func auditClusters(t *testing.T, endpoints []collect.Endpoint, credentials collect.Credentials, now time.Time) audit.Report {
	t.Helper()
	targets, err := collect.Collect(t.Context(), endpoints, collect.Config{
		Timeout: 10 * time.Second, Credentials: credentials, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return audit.Run(catalog.All(), append(targets, audit.Clusters(targets)...))
}

// resultOf finds the result of a check of which there is one.
func resultOf(t *testing.T, report audit.Report, check string) audit.Result {
	t.Helper()
	var found []audit.Result
	for _, r := range report.Results {
		if r.CheckID == check {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d results of %s", len(found), check)
	}
	return found[0]
}

// wantCheck wants "verdict detail": the codes of a finding, or a part of the evidence.
func wantCheck(t *testing.T, report audit.Report, check, want string) {
	t.Helper()
	r := resultOf(t, report, check)
	if !matches(r, want) {
		t.Errorf("%s: %s %v %s, want %q", check, r.Verdict, r.Codes, r.Evidence, want)
	}
}

func matches(r audit.Result, want string) bool {
	verdict, detail, _ := strings.Cut(want, " ")
	if r.Verdict == audit.Fail {
		return verdict == string(audit.Fail) && strings.Join(r.Codes, ",") == detail
	}
	return string(r.Verdict) == verdict && strings.Contains(r.Evidence, detail)
}

// eventually audits until a check gives what is wanted.
func eventually(t *testing.T, auditNow func() audit.Report, check, want string) audit.Report {
	t.Helper()
	deadline, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	for {
		report := auditNow()
		if matches(resultOf(t, report, check), want) {
			return report
		}
		if deadline.Err() != nil {
			wantCheck(t, report, check, want)
			return report
		}
	}
}

func quiet() *zap.Logger { return zap.NewNop() }
