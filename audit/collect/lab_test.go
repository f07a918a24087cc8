package collect_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
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
const labWorkers = 4

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
	if path, version := packagedEtcd(t); path != "" {
		programs[version] = path
		versions = append(versions, version)
	} else if *labWhole {
		t.Log("no etcd 3.4 is installed (apt-get install etcd-server); the three later releases are audited")
	}
	all := laboratory(versions)
	if !*labWhole {
		all = slices.DeleteFunc(all, func(s setup) bool { return s.version != etcdtest.V3_6 && !s.differsByVersion() })
	}
	if *labWhole && len(all) < 60 {
		t.Fatalf("%d configurations", len(all))
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
				s.judge(t, site, results)
			})
		}
	})
	if *labWhole {
		results.print(len(all))
	}
}

// differsByVersion are the setups in which releases are known to behave differently.
func (s setup) differsByVersion() bool {
	return s == (setup{version: s.version}) || s.version == etcdtest.Vulnerable || s.crl == "pem" || s.v2 || s.peer == "skip-san" || s.client == "both"
}

// packagedEtcd is the etcd 3.4 of the distribution, if there is one.
func packagedEtcd(t *testing.T) (path, version string) {
	t.Helper()
	path, err := exec.LookPath("etcd")
	if err != nil {
		return "", ""
	}
	out, err := exec.CommandContext(t.Context(), path, "--version").Output()
	if err != nil {
		t.Logf("%s --version: %v", path, err)
		return "", ""
	}
	first, _, _ := strings.Cut(string(out), "\n")
	version = strings.TrimPrefix(first, "etcd Version: ")
	if !strings.HasPrefix(version, "3.4.") {
		t.Logf("%s is etcd %s, not 3.4", path, version)
		return "", ""
	}
	return path, version
}

// judge audits the member and compares every verdict with the expected one.
func (s setup) judge(t *testing.T, site *site, results *scores) {
	t.Helper()
	credentials := site.credentials()
	if s.anonymous {
		credentials = collect.Credentials{}
	}
	config := collect.Config{
		Timeout: 10 * time.Second, Credentials: credentials,
		Now:    func() time.Time { return site.now }, // a busy machine is no slow member
		Faulty: append(site.faulty(t), s.elsewhere(t, site)),
	}
	endpoints := s.endpoints(site)
	var first map[string]string
	for repeat := range *labRepeats {
		targets, err := collect.Collect(t.Context(), endpoints, config)
		if err != nil {
			t.Fatal(err)
		}
		got, evidence := map[string]string{}, map[string]string{}
		for _, r := range audit.Run(catalog.All(), slices.Concat(targets, audit.Clusters(targets))).Results {
			key := string(r.Kind) + "/" + r.CheckID
			if r.Target == site.http {
				key = "http/" + r.CheckID
			}
			got[key] = strings.TrimSuffix(string(r.Verdict)+" "+strings.Join(r.Codes, ","), " ")
			evidence[key] = r.Evidence
		}
		if first != nil {
			if !maps.Equal(first, got) {
				t.Errorf("audit %d of the same member differs: %v and %v", repeat+1, first, got)
			}
			continue
		}
		first = got
		want := s.expectation()
		for _, key := range slices.Sorted(maps.Keys(got)) {
			_, check, _ := strings.Cut(key, "/")
			results.add(check, want[key], got[key])
			if want[key] != got[key] {
				t.Errorf("%s: %q, want %q: %s", key, got[key], want[key], evidence[key])
			}
			delete(want, key)
		}
		for key := range want {
			t.Errorf("%s: no result", key)
		}
	}
}

// print writes the table of precision and recall.
func (s *scores) print(configurations int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "CHECK\tRESULTS\tAS EXPECTED\tFINDINGS\tPRECISION\tRECALL")
	percent := func(n, of int) string {
		if of == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
	}
	for _, check := range slices.Sorted(maps.Keys(s.by)) {
		c := s.by[check]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\n", check, c.total, c.agreed, c.truePositive,
			percent(c.truePositive, c.truePositive+c.falsePositive), percent(c.truePositive, c.truePositive+c.falseNegative))
	}
	fmt.Fprintf(w, "%d configurations of real etcd\n", configurations)
	_ = w.Flush()
}
