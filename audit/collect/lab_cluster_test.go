package collect_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
)

// clusterSetup is a real cluster, each member in one configuration, and what happened to it.
type clusterSetup struct {
	name    string
	quick   bool // also started without -lab.whole
	members []setup
	// learner is the last member, added to the others; one that is unstarted was only added.
	learner, unstarted bool
	// files changes the files of the members before they start.
	files func(t *testing.T, sites []*site)
	// event brings the running cluster into the state that is audited.
	event func(t *testing.T, r *ring)
	// beside are listeners of others that are audited with it, and snapshots its folder of them.
	beside    func(t *testing.T, r *ring) []collect.Endpoint
	snapshots func(t *testing.T, r *ring) string
	later     time.Duration // the audit takes place so long after the start
	audited   int           // how many members are, from the first; 0 is all
	// reference: no finding and nothing unknown, whatever the rules below say.
	reference bool
	// want are the verdicts that differ from those of a cluster of several members alike, all
	// of which take part; by "cluster/check" or "m1/client/check".
	want map[string]string
	// wantOf are those of which the codes are only known of the running cluster.
	wantOf func(t *testing.T, r *ring) map[string]string
}

func (c clusterSetup) String() string {
	return fmt.Sprintf("cluster/%s,%s", c.members[0].version, c.name)
}

func (c clusterSetup) start(t *testing.T) *ring {
	t.Helper()
	r := startRing(t, c.learner, c.unstarted, c.files, c.members...)
	if c.members[0].rbac != "" {
		r.sites[0].given = newLeaf(t, r.sites[0].clientCA, c.members[0].user())
		enableAuth(t, r.clients[0])
	}
	if c.event != nil {
		c.event(t, r)
	}
	return r
}

// judge audits the cluster, which must stand where it stood, and compares every verdict.
func (c clusterSetup) judge(t *testing.T, r *ring, results *scores) {
	t.Helper()
	endpoints := r.listeners(c.count())
	if c.beside != nil {
		endpoints = append(endpoints, c.beside(t, r)...)
	}
	config := c.members[0].collection(t, r.sites[0])
	now := config.Now().Add(c.later)
	config.Now = func() time.Time { return now }
	r.caughtUp(t)
	before := r.positions(t)
	targets, err := collect.Collect(t.Context(), endpoints, config)
	if err != nil {
		t.Fatal(err)
	}
	if after := r.positions(t); after != before {
		t.Errorf("the audit left a trace: before\n%s\nafter\n%s", before, after)
	}
	dir := ""
	if c.snapshots != nil {
		dir = c.snapshots(t, r)
	}
	clusters := collect.Clusters(t.Context(), targets, dir, 24*time.Hour, now)
	if len(clusters) != 1 {
		t.Fatalf("%d clusters", len(clusters))
	}
	report := audit.Run(catalog.All(), append(audit.Targets(targets), audit.Targets(clusters)...))
	if c.reference && report.Summary.Fail+report.Summary.Unknown > 0 {
		t.Errorf("%+v of a hardened cluster", report.Summary)
	}
	got, evidence := said(report, r.nameOf)
	for key := range got {
		got[key] = sortedCodes(got[key])
	}
	want := c.expectation()
	if c.wantOf != nil {
		maps.Copy(want, c.wantOf(t, r))
	}
	results.compare(t, got, evidence, want)
}

// sortedCodes sorts the codes of a verdict: etcd lists members by their IDs, which are anew in each cluster.
func sortedCodes(verdict string) string {
	head, codes, found := strings.Cut(verdict, " ")
	if !found {
		return verdict
	}
	all := strings.Split(codes, ",")
	slices.Sort(all)
	return head + " " + strings.Join(all, ",")
}

func (c clusterSetup) count() int {
	if c.audited > 0 {
		return c.audited
	}
	return len(c.members)
}

// expectation is, of each audited member, what is expected of it alone, and of the cluster
// what its members make together.
func (c clusterSetup) expectation() map[string]string {
	want := map[string]string{}
	for i, s := range c.members[:c.count()] {
		for key, verdict := range s.expectation() {
			if listener, check, _ := strings.Cut(key, "/"); listener != string(audit.Cluster) {
				want[fmt.Sprintf("m%d/%s/%s", i, listener, check)] = verdict
			}
		}
		// Every member lists all.
		if key := fmt.Sprintf("m%d/client/member-url-plaintext", i); want[key] == "pass" || strings.HasPrefix(want[key], "fail") {
			want[key] = c.plaintextURLs()
		}
	}
	for key, verdict := range c.members[0].expectation() {
		if strings.HasPrefix(key, "cluster/") {
			want[key] = verdict
		}
	}
	want["cluster/member-count"] = c.voters()
	want["cluster/member-drift"] = when(c.count() > 1, "pass", "skip")
	for key, verdict := range c.want {
		if member, all := strings.CutSuffix(key, "/*"); all {
			for known := range want {
				if strings.HasPrefix(known, member+"/") {
					want[known] = verdict
				}
			}
		}
	}
	for key, verdict := range c.want {
		if !strings.HasSuffix(key, "/*") {
			want[key] = sortedCodes(verdict)
		}
	}
	return want
}

func (c clusterSetup) voters() string {
	voters := len(c.members)
	if c.learner {
		voters--
	}
	return when(voters == 1, "fail single", when(voters%2 == 0, "fail even", "pass"))
}

func (c clusterSetup) plaintextURLs() string {
	var codes []string
	for i, s := range c.members {
		codes = append(codes, when(s.client == "plain", fmt.Sprintf("m%d-client", i), ""), when(s.peer == "plain", fmt.Sprintf("m%d-peer", i), ""))
	}
	if found := fails(codes...); found != "fail " {
		return sortedCodes(found)
	}
	return "pass"
}
