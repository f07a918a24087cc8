package collect_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

var (
	labRepeats = flag.Int("lab.repeats", 1, "audits of each configuration, which must be identical")
	labWhole   = flag.Bool("lab.whole", false, "every configuration in every version, and the table")
)

// labWorkers is how many members run at once.
const labWorkers = 6

// score counts, for one check, what was expected and what was said.
type score struct{ truePositive, falsePositive, falseNegative, agreed, total int }

// scores are by check. Several workers add to them.
type scores struct {
	mu sync.Mutex
	by map[string]*score
}

func (s *scores) add(check, wanted, got string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[check] == nil {
		s.by[check] = &score{}
	}
	c := s.by[check]
	c.total++
	expected, found := strings.HasPrefix(wanted, "fail"), strings.HasPrefix(got, "fail")
	switch {
	case wanted == got:
		c.agreed++
		if found {
			c.truePositive++
		}
	case found && !expected:
		c.falsePositive++
	case expected && !found:
		c.falseNegative++
	}
}

// The laboratory: real members in every configuration that is worth telling apart, and the
// exact verdict of every check on each. Without -lab.whole the single faults are started in
// one version, and the combinations and what differs between versions in their own.
func TestLaboratory(t *testing.T) {
	programs := map[string]string{}
	versions := etcdtest.Versions()
	if path, version := etcdtest.Packaged(t, "3.4"); path != "" {
		programs[version] = path
		versions = append(versions, version)
	} else if *labWhole {
		t.Log("no etcd 3.4 is installed (apt-get install etcd-server); the three later releases are audited")
	}
	all := laboratory(versions, *labWhole)
	if !*labWhole {
		all = slices.DeleteFunc(all, func(s setup) bool { return s.version != etcdtest.V3_6 && !s.differsByVersion() || s.wholeOnly() })
	}
	if *labWhole && len(all) < 60 {
		t.Fatalf("%d configurations", len(all))
	}
	rings := clusterLaboratory()
	if !*labWhole {
		rings = slices.DeleteFunc(rings, func(c clusterSetup) bool { return !c.quick })
	}
	results := &scores{by: map[string]*score{}}
	slots := make(chan struct{}, labWorkers)
	t.Run("configurations", func(t *testing.T) {
		for _, s := range all {
			t.Run(s.String(), func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				site := newSite(t)
				s.start(t, site, programs[s.version])
				s.unchanged(t, site, func() { s.judge(t, site, results) })
			})
		}
		for _, c := range rings {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				c.judge(t, c.start(t), results)
			})
		}
	})
	if *labWhole {
		results.print(len(all), len(rings))
	}
}

// wholeOnly are setups that cost more than they add: what is served in order, users of whom
// another version tells the same, and a member that takes its time.
func (s setup) wholeOnly() bool {
	fault := s.served()
	return s.slow || fault.serve != nil && len(fault.want) == 0 || s.version == etcdtest.Vulnerable && s.rbac != "" && s.rbac != nobody
}

// differsByVersion are the setups in which releases are known to behave differently.
func (s setup) differsByVersion() bool {
	return s == (setup{version: s.version}) || s.version == etcdtest.Vulnerable || s.crl == "pem" || s.v2 || s.peer == "skip-san" || s.client == "both"
}

// judge audits the member and compares every verdict with the expected one.
func (s setup) judge(t *testing.T, site *site, results *scores) {
	t.Helper()
	config := s.collection(t, site)
	var first map[string]string
	for repeat := range *labRepeats {
		targets, err := collect.Collect(t.Context(), s.endpoints(site), config)
		if err != nil {
			t.Fatal(err)
		}
		report := audit.Run(catalog.All(), slices.Concat(audit.Targets(targets), audit.Targets(audit.Clusters(targets))))
		got, evidence := said(report, func(r audit.Result) string { return when(r.Target == site.http, "http", string(r.Kind)) })
		if first != nil {
			if !maps.Equal(first, got) {
				t.Errorf("audit %d of the same member differs: %v and %v", repeat+1, first, got)
			}
			continue
		}
		first = got
		results.compare(t, got, evidence, s.expectation())
	}
	s.judgeByOneHandshake(t, site, config, first)
}

// judgeByOneHandshake wants the checks that one handshake answers to say the same by it as
// they said of everything.
func (s setup) judgeByOneHandshake(t *testing.T, site *site, config collect.Config, whole map[string]string) {
	t.Helper()
	config.OneHandshake = true
	targets, err := collect.Collect(t.Context(), s.endpoints(site), config)
	if err != nil {
		t.Fatal(err)
	}
	checks := slices.DeleteFunc(catalog.All(), func(c audit.Check) bool { return !c.OneHandshake })
	got, evidence := said(audit.Run(checks, audit.Targets(targets)), func(r audit.Result) string { return when(r.Target == site.http, "http", string(r.Kind)) })
	for key, verdict := range got {
		if verdict != whole[key] {
			t.Errorf("by one handshake %s: %q, of everything %q: %s", key, verdict, whole[key], evidence[key])
		}
	}
	if len(got) == 0 {
		t.Error("no check is answered by one handshake")
	}
}

// collection is how the member is audited: with every certificate that there is to present.
func (s setup) collection(t *testing.T, site *site) collect.Config {
	t.Helper()
	credentials := site.credentials()
	if s.anonymous {
		credentials = collect.Credentials{}
	}
	return collect.Config{
		Timeout: time.Minute, Credentials: credentials,
		Now:    s.clock(),
		Faulty: append(site.faulty(t), s.elsewhere(t, site)),
	}
}

// clock stands still from now on, when etcd has made what it makes for itself, so that a busy
// machine is no slow member, unless the member is to be slow.
func (s setup) clock() func() time.Time {
	if s.slow {
		return time.Now
	}
	now := time.Now()
	return func() time.Time { return now }
}

// said is every verdict of a report with its codes, by "listener/check", and the evidence.
func said(report audit.Report, listener func(audit.Result) string) (got, evidence map[string]string) {
	got, evidence = map[string]string{}, map[string]string{}
	for _, r := range report.Results {
		key := listener(r) + "/" + r.CheckID
		got[key] = strings.TrimSuffix(string(r.Verdict)+" "+strings.Join(r.Codes, ","), " ")
		evidence[key] = r.Evidence
	}
	return got, evidence
}

// compare wants every verdict to be there and as expected, and counts them.
func (s *scores) compare(t *testing.T, got, evidence, want map[string]string) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(got)) {
		s.add(key[strings.LastIndex(key, "/")+1:], want[key], got[key])
		if want[key] != got[key] {
			t.Errorf("%s: %q, want %q: %s", key, got[key], want[key], evidence[key])
		}
	}
	for key := range want {
		if _, found := got[key]; !found {
			t.Errorf("%s: no result", key)
		}
	}
}

// print writes the table of precision and recall.
func (s *scores) print(members, clusters int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "CHECK\tRESULTS\tAS EXPECTED\tFINDINGS\tPRECISION\tRECALL")
	percent := func(n, of int) string {
		if of == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
	}
	for _, check := range slices.Sorted(maps.Keys(s.by)) {
		c := s.by[check]
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\n", check, c.total, c.agreed, c.truePositive,
			percent(c.truePositive, c.truePositive+c.falsePositive), percent(c.truePositive, c.truePositive+c.falseNegative))
	}
	_, _ = fmt.Fprintf(w, "%d configurations of a single member and %d of clusters, all of real etcd\n", members, clusters)
	_ = w.Flush()
}
