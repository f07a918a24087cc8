package pki_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki"
	"github.com/etcdsec/etcdsec/pki/status"
)

const day = 24 * time.Hour

// everyRun looks at each daily run in full. Without it, runs are left out on which nothing can
// change: no certificate comes within its margin, and nothing happens.
var everyRun = flag.Bool("clock.every-run", false, "look at each of the daily runs, also where nothing can change")

// begin is the first day of every simulation.
var begin = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// rootKeys says how the keys of the roots are kept, and who brings them.
type rootKeys string

const (
	onLine    rootKeys = "plain keys in the store"
	given     rootKeys = "encrypted, and the timer has the identity"
	encrypted rootKeys = "encrypted, and a person brings the identity twenty days after it is asked for"
	offLine   rootKeys = "not in the store, and a person brings them twenty days after they are asked for"
	gone      rootKeys = "destroyed"
)

// patience is how long a person lets the store ask.
const patience = 20 * day

// simulation drives one store through time as a timer and its operator would.
type simulation struct {
	t    testing.TB
	dir  string
	spec string

	keys     rootKeys
	identity *age.X25519Identity
	// protected means that the roots' keys are encrypted: before, an identity opens nothing and is refused.
	protected bool
	away      map[string][]byte // the roots' keys, where they are kept elsewhere

	trust  map[string]*x509.Certificate // roots by the leaf whose verifier has them, as they were at its start
	asked  time.Time                    // since when a person is needed
	issued map[string]int               // how many certificates each name got after the first day
	full   int                          // runs that were looked at in full

	revoked []pki.Revoked
	wide    bool // a member left, and issuing CAs may still sign its names
}

func newSimulation(t testing.TB, spec string, keys rootKeys) *simulation {
	t.Helper()
	s := &simulation{t: t, dir: filepath.Join(memoryDir(t), "store"), spec: spec, keys: keys, trust: map[string]*x509.Certificate{}, issued: map[string]int{}}
	var err error
	if s.identity, err = age.GenerateX25519Identity(); err != nil {
		t.Fatal(err)
	}
	return s
}

// memoryDir returns a folder in memory, where there is one. Thousands of runs would wait for the
// disk, which other tests look at.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "etcdsec-clock-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// protect puts the roots' keys where they are kept.
func (s *simulation) protect(now time.Time) {
	s.t.Helper()
	switch s.keys {
	case given, encrypted:
		s.apply(now, pki.Renewal{}, false, func(store *pki.Store) {
			store.RootKeys = pki.RootKeys{Recipients: []string{s.identity.Recipient().String()}}
		})
		s.protected = true
	case gone:
		s.apply(now, pki.Renewal{}, false, func(store *pki.Store) { store.RootKeys = pki.RootKeys{Destroy: true} })
	case offLine:
		s.takeKeys()
	}
}

func (s *simulation) takeKeys() {
	s.t.Helper()
	s.away = map[string][]byte{}
	for _, a := range pki.NewPlan(s.cluster()).Authorities {
		path := filepath.Join(s.dir, a.Path(), "ca.key")
		if a.Name != pki.ClientRoot && a.Name != pki.PeerRoot {
			continue
		}
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		s.away[path] = data
	}
}

// withKeys does something while a person has brought the roots' keys.
func (s *simulation) withKeys(do func(open func(*pki.Store))) {
	s.t.Helper()
	for path, data := range s.away {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	do(func(store *pki.Store) {
		if s.keys == encrypted { // an identity that opens nothing is refused
			store.Keys.Identities = []byte(s.identity.String() + "\n")
		}
	})
	if s.away != nil {
		s.takeKeys()
	}
}

func (s *simulation) cluster() *cluster.Cluster {
	s.t.Helper()
	c, err := cluster.Read("cluster.yaml", strings.NewReader(s.spec))
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// apply is one run of a verb that signs. open, if not nil, gives it keys.
func (s *simulation) apply(now time.Time, renewal pki.Renewal, dryRun bool, open func(*pki.Store)) pki.Result {
	s.t.Helper()
	c := s.cluster()
	store, err := pki.OpenStore(s.dir, c)
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	if s.keys == given && s.protected {
		store.Keys.Identities = []byte(s.identity.String() + "\n")
	}
	if open != nil {
		open(store)
	}
	result, err := store.Apply(context.Background(), c, pki.Change{Renewal: renewal, DryRun: dryRun}, pki.IssueConfig{Now: now, Backend: pki.BackendStd})
	if err != nil {
		s.t.Fatalf("%s: %v", s.age(now), err)
	}
	return result
}

func (s *simulation) age(now time.Time) string {
	return fmt.Sprintf("day %.2f", now.Sub(begin).Hours()/24)
}

// names returns what a run did, or says, with one of the actions.
func names(steps []pki.Step, actions ...pki.Action) []string {
	var found []string
	for _, step := range steps {
		if slices.Contains(actions, step.Action) {
			found = append(found, step.Name)
		}
	}
	return found
}

// chain is a certificate of the plan with what is behind it in its file.
type chain struct {
	name   string
	certs  []*x509.Certificate
	leaf   *pki.Leaf // nil for an authority
	issuer string
}

// ends is computed here by itself, and not by the code that is looked at.
func (c chain) ends() time.Time {
	end := c.certs[0].NotAfter
	for _, cert := range c.certs {
		if cert.NotAfter.Before(end) {
			end = cert.NotAfter
		}
	}
	return end
}

// inMargin reports whether a third of its lifetime is left, or less.
func (c chain) inMargin(now time.Time) bool {
	return c.ends().Sub(now) <= c.ends().Sub(c.certs[0].NotBefore)/3
}

func (s *simulation) chains() []chain {
	s.t.Helper()
	plan := pki.NewPlan(s.cluster())
	var all []chain
	add := func(name, path string, leaf *pki.Leaf, issuer string) {
		certs, err := pki.ReadCertificates(filepath.Join(s.dir, path))
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, chain{name, certs, leaf, issuer})
	}
	for _, a := range plan.Authorities {
		add(a.Name, a.Path()+"/ca.crt", nil, a.Issuer)
	}
	for _, b := range plan.Bundles {
		for _, l := range b.Leaves {
			add(l.Name, b.Path+"/"+l.CertFile, &l, l.Issuer)
			at := slices.IndexFunc(b.Trust, func(t pki.TrustFile) bool { return t.Root == l.Root })
			root, err := pki.ReadCertificates(filepath.Join(s.dir, b.Path, b.Trust[at].Name))
			if err != nil {
				s.t.Fatal(err)
			}
			if s.trust[l.Name] == nil {
				s.trust[l.Name] = root[0]
			}
		}
	}
	return all
}

// run is the timer at one point in time: status, a dry run, the run, the same run again, verify.
// All of them must tell one story.
func (s *simulation) run(now time.Time) {
	s.t.Helper()
	s.full++
	before := s.chains()
	said := s.status(now)
	dry := s.apply(now, pki.Renewal{Due: true}, true, nil)
	result := s.apply(now, pki.Renewal{Due: true}, false, nil)
	s.sameSteps(now, "the dry run", dry, result)
	s.reasons(now, before, result)

	// What status calls due is what the run renews or leaves to a person.
	var want []string
	replaced := s.replaced(before)
	for _, name := range names(result.Steps, pki.ActionRenew, pki.ActionDue) {
		if inMargin(before, name, now) || !replaced[issuerOf(before, name)] {
			want = append(want, name)
		}
	}
	s.same(now, "due in status before the run, and renewed or left by it", sortedClone(want), said.due)
	if (len(said.due) > 0) != (result.Count(pki.ActionRenew, pki.ActionDue) > 0) {
		s.t.Errorf("%s: status and renew differ in their exit status", s.age(now))
	}

	after := s.status(now)
	s.same(now, "due in status after the run, and left by it", sortedClone(names(result.Steps, pki.ActionDue)), after.due)
	s.same(now, "due in verify, and in status", after.due, s.verify(now))
	s.safe(now, after)
	s.listed(now)

	bytes := s.tree()
	again := s.apply(now, pki.Renewal{Due: true}, false, nil)
	if n := again.Count(pki.ActionRenew, pki.ActionIssue, pki.ActionExtend, pki.ActionSign); n > 0 {
		s.t.Errorf("%s: a second run did %d things: %+v", s.age(now), n, again.Steps)
	}
	s.same(now, "left by the run, and by a second one", names(result.Steps, pki.ActionDue), names(again.Steps, pki.ActionDue))
	s.same(now, "the store before and after a second run", bytes, s.tree())

	s.person(now, after)
}

// person brings the keys, some time after the store asked for them, and does what it says.
func (s *simulation) person(now time.Time, after told) {
	s.t.Helper()
	if len(after.person) == 0 {
		s.asked = time.Time{}
		return
	}
	if s.asked.IsZero() {
		s.asked = now
	}
	if s.keys == gone || now.Sub(s.asked) < patience {
		return
	}
	before := s.chains()
	s.withKeys(func(open func(*pki.Store)) {
		renewal := pki.Renewal{Due: true}
		if slices.Contains(after.person, pki.ClientRoot) || slices.Contains(after.person, pki.PeerRoot) {
			renewal = pki.Renewal{All: true, Authorities: true} // etcdsec pki recover
			s.rolling(now, func() { s.count(s.apply(now, renewal, false, open)) })
			return
		}
		result := s.apply(now, renewal, false, open)
		s.reasons(now, before, result)
	})
	if left := s.status(now); len(left.due) > 0 {
		s.t.Errorf("%s: a person did what was asked for, and there is left: %v", s.age(now), left.due)
	}
}

// rolling renews roots. Whoever has the former root takes what is below the new one, and the
// other way round, until all were restarted.
func (s *simulation) rolling(now time.Time, renew func()) {
	s.t.Helper()
	old := s.chains()
	renew()
	s.verifyAll(now, s.chains())
	s.trust = map[string]*x509.Certificate{} // all were restarted
	renewed := s.chains()
	s.verifyAll(now, renewed)
	s.verifyAll(now, old)
}

func issuerOf(all []chain, name string) string {
	at := slices.IndexFunc(all, func(c chain) bool { return c.name == name })
	if at < 0 {
		return ""
	}
	return all[at].issuer
}

func inMargin(all []chain, name string, now time.Time) bool {
	at := slices.IndexFunc(all, func(c chain) bool { return c.name == name })
	return at >= 0 && all[at].inMargin(now)
}

// replaced names the authorities whose key is no longer the one that they had.
func (s *simulation) replaced(before []chain) map[string]bool {
	changed := map[string]bool{}
	now := s.chains()
	for _, c := range before {
		at := slices.IndexFunc(now, func(n chain) bool { return n.name == c.name })
		if c.leaf == nil && at >= 0 && !bytes.Equal(c.certs[0].RawSubjectPublicKeyInfo, now[at].certs[0].RawSubjectPublicKeyInfo) {
			changed[c.name] = true
		}
	}
	return changed
}

// reasons wants each certificate that was signed to have been due, or to be below an issuer that
// was replaced, and counts it.
func (s *simulation) reasons(now time.Time, before []chain, result pki.Result) {
	s.t.Helper()
	replaced := s.replaced(before)
	for _, name := range names(result.Steps, pki.ActionRenew) {
		if !inMargin(before, name, now) && !replaced[issuerOf(before, name)] {
			s.t.Errorf("%s: %s was renewed and not due", s.age(now), name)
		}
	}
	s.count(result)
}

func (s *simulation) count(result pki.Result) {
	for _, name := range names(result.Steps, pki.ActionRenew, pki.ActionIssue, pki.ActionExtend) {
		s.issued[name]++
	}
}

// safe wants nothing within its margin but what a person was told of, and every leaf good for
// who was started on the first day and never again.
func (s *simulation) safe(now time.Time, after told) {
	s.t.Helper()
	all := s.chains()
	for _, c := range all {
		if c.inMargin(now) && !slices.Contains(after.person, c.name) {
			s.t.Errorf("%s: %s ends on %s, within its margin, and no person was told", s.age(now), c.name, c.ends())
		}
	}
	s.verifyAll(now, all)
}

func (s *simulation) verifyAll(now time.Time, all []chain) {
	s.t.Helper()
	for _, c := range all {
		if c.leaf == nil || s.trust[c.name] == nil {
			continue
		}
		options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: c.leaf.EKUs[:1]}
		options.Roots.AddCert(s.trust[c.name])
		for _, cert := range c.certs[1:] {
			options.Intermediates.AddCert(cert)
		}
		if _, err := c.certs[0].Verify(options); err != nil {
			s.t.Errorf("%s: %s: %v", s.age(now), c.name, err)
		}
	}
}

// told is what status says: what is due, and what of it needs a person.
type told struct{ due, person []string }

// status reads the report, and wants JSON and metrics to say the same.
func (s *simulation) status(now time.Time) told {
	s.t.Helper()
	held, err := status.Read(context.Background(), s.dir, now)
	if err != nil {
		s.t.Fatal(err)
	}
	report := status.New(held, nil, now)
	var found, metrics told
	for _, row := range report.Certificates {
		if row.State != pki.StateOK {
			found.due = append(found.due, row.Name)
		}
		if row.Remedy != nil && row.Remedy.Person {
			found.person = append(found.person, row.Name)
			if row.Remedy.Command == "" || row.Remedy.Why == "" || !strings.Contains(row.Detail, row.Remedy.Command) {
				s.t.Errorf("%s: %s: a person is needed, and status does not say what to do: %+v", s.age(now), row.Name, row)
			}
		}
	}
	if report.Due() != len(found.due) {
		s.t.Errorf("%s: status ends with %d due, and shows %v", s.age(now), report.Due(), found.due)
	}
	var text bytes.Buffer
	if err := report.WritePrometheus(&text, now); err != nil {
		s.t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(&text)
	if err != nil {
		s.t.Fatal(err)
	}
	for family, into := range map[string]*[]string{"etcdsec_certificate_state": &metrics.due, "etcdsec_certificate_needs_person": &metrics.person} {
		for _, m := range families[family].GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if m.GetGauge().GetValue() == 1 && labels["state"] != string(pki.StateOK) {
				*into = append(*into, labels["name"])
			}
		}
	}
	s.same(now, "due in status and in its metrics", found.due, metrics.due)
	s.same(now, "for a person in status and in its metrics", found.person, metrics.person)
	slices.Sort(found.due)
	return found
}

// verify returns what is due by pki verify. Anything else that it finds is a fault, but for the
// roots' keys and what import says.
func (s *simulation) verify(now time.Time) []string {
	s.t.Helper()
	c := s.cluster()
	store, err := pki.OpenStore(s.dir, c)
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	found, err := store.Verify(c, now)
	if err != nil {
		s.t.Fatal(err)
	}
	paths := map[string]string{}
	for _, a := range pki.NewPlan(c).Authorities {
		paths[a.Path()+"/ca.crt"] = a.Name
	}
	for _, b := range pki.NewPlan(c).Bundles {
		for _, l := range b.Leaves {
			paths[b.Path+"/"+l.CertFile] = l.Name
		}
	}
	var due []string
	for _, f := range found {
		switch {
		case strings.HasPrefix(f.Problem, "is due: "):
			due = append(due, paths[f.Path])
		case strings.HasPrefix(f.Problem, "is a root's key in plain text; "):
		case s.wide && strings.HasPrefix(f.Problem, "has the name constraints"):
		default:
			s.t.Errorf("%s: verify: %s: %s", s.age(now), f.Path, f.Problem)
		}
	}
	slices.Sort(due)
	return due
}

func (s *simulation) sameSteps(now time.Time, what string, a, b pki.Result) {
	s.t.Helper()
	text := func(r pki.Result) []string {
		var lines []string
		for _, step := range r.Steps {
			lines = append(lines, fmt.Sprint(step.Action, " ", step.Name, " ", step.Detail))
		}
		return lines
	}
	s.same(now, what, text(a), text(b))
}

func (s *simulation) same(now time.Time, what string, a, b any) {
	s.t.Helper()
	if diff := gocmp.Diff(a, b); diff != "" {
		s.t.Errorf("%s: %s:\n%s", s.age(now), what, diff)
	}
}

func sortedClone(s []string) []string { return slices.Sorted(slices.Values(s)) }

func (s *simulation) tree() map[string]string {
	s.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if e.Type()&fs.ModeSymlink != 0 {
			files[path], err = os.Readlink(path)
			return err
		}
		data, err := os.ReadFile(path)
		sum := sha256.Sum256(data)
		files[path] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil || len(files) == 0 {
		s.t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}

// through runs the timer from day to day until the end. events happen before the run of their day;
// on the days of a pause it does not run.
func (s *simulation) through(days int, every time.Duration, events map[int]func(now time.Time), pause func(day int) bool) {
	s.t.Helper()
	next := begin // the next run to look at in full
	for now := begin; now.Before(begin.Add(time.Duration(days) * day)); now = now.Add(every) {
		today := int(now.Sub(begin) / day)
		if pause != nil && pause(today) {
			next = now
			continue
		}
		event := events[today]
		if event != nil && now.Sub(begin)%day == 0 {
			event(now)
		}
		if !*everyRun && event == nil && now.Before(next) && (s.asked.IsZero() || now.Sub(s.asked) < patience || s.keys == gone) {
			continue
		}
		s.run(now)
		next = s.nextChange(now)
		if s.t.Failed() {
			return
		}
	}
}

// nextChange returns when the first certificate comes within its margin or ends. It looks at a
// run a month at least.
func (s *simulation) nextChange(now time.Time) time.Time {
	next := now.Add(30 * day)
	for _, c := range s.chains() {
		margin := c.ends().Add(-c.ends().Sub(c.certs[0].NotBefore) / 3)
		if margin.After(now) && margin.Before(next) {
			next = margin
		}
		if c.ends().After(now) && c.ends().Before(next) {
			next = c.ends()
		}
	}
	return next
}

// certificates sums the issues by kind.
func (s *simulation) certificates() map[string]int {
	sum := map[string]int{}
	for name, n := range s.issued {
		kind := "leaf"
		switch name {
		case pki.ClientRoot, pki.PeerRoot:
			kind = "root"
		case pki.ServerIssuing, pki.ClientIssuing, pki.PeerIssuing:
			kind = "issuing"
		}
		sum[kind] += n
	}
	return sum
}

const simulatedSpec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: clock}
spec:
  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, addresses: [10.0.0.11]}
`

// clockCase is a store, and what three years of daily runs issue in it after the first day.
type clockCase struct {
	spec   string // of spec.pki
	keys   rootKeys
	days   int           // 1095 if 0
	every  time.Duration // a day if 0
	issued map[string]int
	long   bool // only with the build tag e2e
}

// An issuing CA of a year is due on day 244 (two thirds), and a leaf of 90 days on its day 60. So
// each leaf is signed on days 60, 120, 180, 240 and 244 of each CA, and 21 times in three years.
// Where a person comes on the twentieth day, a CA lives 264 days, and each leaf is signed 20 times.
func clockCases() map[string]clockCase {
	return map[string]clockCase{
		"roots on line":                     {keys: onLine, issued: map[string]int{"issuing": 12, "leaf": 105}, long: true},
		"roots encrypted, identity given":   {keys: given, issued: map[string]int{"issuing": 12, "leaf": 105}, long: true},
		"roots encrypted, a person comes":   {keys: encrypted, issued: map[string]int{"issuing": 12, "leaf": 100}},
		"encrypted, revocation lists":       {keys: encrypted, spec: "  pki: {crl: true}\n", issued: map[string]int{"issuing": 12, "leaf": 100}, long: true},
		"roots elsewhere, a person comes":   {keys: offLine, long: true, issued: map[string]int{"issuing": 12, "leaf": 100}},
		"roots destroyed":                   {keys: gone, days: 365, issued: map[string]int{"leaf": 25}}, // on day 300 for the last time, until the CA ends
		"kubeadm":                           {spec: "  pki: {layout: kubeadm}\n", keys: onLine, issued: map[string]int{"issuing": 12, "leaf": 105}, long: true},
		"k3s":                               {spec: "  pki: {layout: k3s}\n", keys: onLine, issued: map[string]int{"issuing": 12, "leaf": 105}, long: true},
		"kops":                              {spec: "  pki: {layout: kops}\n", keys: offLine, long: true, issued: map[string]int{"issuing": 12, "leaf": 100}},
		"kubeadm, no issuing CA":            {spec: "  pki: {layout: kubeadm, hierarchy: single}\n", keys: onLine, issued: map[string]int{"leaf": 90}, long: true},
		"k3s, no issuing CA":                {spec: "  pki: {layout: k3s, hierarchy: single, crl: true}\n", keys: onLine, issued: map[string]int{"leaf": 90}, long: true},
		"one root for all":                  {spec: "  pki: {layout: kops, hierarchy: shared}\n", keys: onLine, issued: map[string]int{"leaf": 90}, long: true},
		"roots sign leaves, a person comes": {spec: "  pki: {layout: k3s, hierarchy: single}\n", keys: encrypted, issued: map[string]int{"leaf": 65}, long: true},
		"ten years":                         {spec: "  pki: {issuingLifetime: 87600h, leafLifetime: 87600h}\n", keys: onLine, issued: map[string]int{}, long: true},
		"leaves as long as their issuer":    {spec: "  pki: {leafLifetime: 8760h}\n", keys: onLine, issued: map[string]int{"issuing": 12, "leaf": 20}, long: true},
		"leaves of ten months":              {spec: "  pki: {leafLifetime: 7200h}\n", keys: encrypted, issued: map[string]int{"issuing": 12, "leaf": 40}, long: true},
		"roots of three years":              {spec: "  pki: {rootLifetime: 26280h}\n", keys: onLine, issued: map[string]int{"issuing": 15, "leaf": 110, "root": 2}, long: true},
		"roots of three years, elsewhere":   {spec: "  pki: {rootLifetime: 26280h}\n", keys: offLine, long: true, issued: map[string]int{"issuing": 12, "leaf": 100, "root": 2}},
		"roots of two years sign leaves":    {spec: "  pki: {layout: kubeadm, hierarchy: single, rootLifetime: 17520h}\n", keys: onLine, issued: map[string]int{"leaf": 95, "root": 4}, long: true},
		"a week and a day":                  {spec: "  pki: {issuingLifetime: 168h, leafLifetime: 24h}\n", keys: onLine, days: 60, every: 6 * time.Hour, issued: map[string]int{"issuing": 36, "leaf": 435}, long: true},
		"a week and a week":                 {spec: "  pki: {issuingLifetime: 168h, leafLifetime: 168h}\n", keys: given, days: 60, issued: map[string]int{"issuing": 33, "leaf": 55}, long: true},
	}
}

// Three years of runs of a timer, with every way to keep the roots' keys, every layout and
// lifetimes of every proportion.
func TestThreeYears(t *testing.T) {
	t.Parallel()
	testThreeYears(t, false)
}

func testThreeYears(t *testing.T, all bool) {
	t.Helper()
	for name, tc := range clockCases() {
		if tc.long && !all {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSimulation(t, simulatedSpec+tc.spec, tc.keys)
			s.apply(begin, pki.Renewal{}, false, nil)
			s.protect(begin)
			s.through(cmp.Or(tc.days, 1095), cmp.Or(tc.every, day), nil, nil)
			s.wantIssued(tc.issued)
		})
	}
}

// wantIssued compares what was issued after the first day, by kind.
func (s *simulation) wantIssued(want map[string]int) {
	s.t.Helper()
	if diff := gocmp.Diff(want, s.certificates()); diff != "" {
		s.t.Errorf("certificates issued (-want +got):\n%s\n%v", diff, s.issued)
	}
	s.t.Logf("%d runs in full", s.full)
}

// A cluster that lives: a member comes and one goes, one moves, a client comes and is revoked,
// and for sixty days the timer does not run.
func TestThreeYearsOfChanges(t *testing.T) {
	t.Parallel()
	testThreeYearsOfChanges(t, false)
}

func testThreeYearsOfChanges(t *testing.T, all bool) {
	t.Helper()
	for keys, issued := range map[rootKeys]map[string]int{onLine: {"issuing": 12, "leaf": 171}, offLine: {"issuing": 10, "leaf": 159}} {
		if keys == offLine && !all {
			continue
		}
		t.Run(string(keys), func(t *testing.T) {
			t.Parallel()
			s := newSimulation(t, simulatedSpec+"      - {name: etcd-1, addresses: [10.0.0.12]}\n  pki: {crl: true}\n", keys)
			s.apply(begin, pki.Renewal{}, false, nil)
			s.protect(begin)
			// change edits the spec and renews by it, with the roots' keys: constraints of issuing CAs have the names.
			change := func(from, to string) func(time.Time) {
				return func(now time.Time) {
					if !strings.Contains(s.spec, from) {
						s.t.Fatalf("the spec has no %q", from)
					}
					s.spec = strings.Replace(s.spec, from, to, 1)
					s.withKeys(func(open func(*pki.Store)) { s.apply(now, pki.Renewal{Due: true}, false, open) })
				}
			}
			revoke := func(name string) func(time.Time) {
				return func(now time.Time) { s.revoke(now, name) }
			}
			const pkiLine = "  pki: {crl: true}\n"
			s.through(1095, day, map[int]func(time.Time){
				50:  change(pkiLine, "      - {name: etcd-2, addresses: [10.0.0.13]}\n"+pkiLine),
				150: change(pkiLine, "  clients: [{name: backup, role: backup}]\n"+pkiLine),
				268: revoke("backup"), // the one before the last, of an issuing CA that was replaced
				300: change("10.0.0.12", "10.0.0.99"),
				310: revoke("etcd-1"), // at its former address
				400: func(now time.Time) {
					change("      - {name: etcd-2, addresses: [10.0.0.13]}\n", "")(now)
					revoke("etcd-2")(now)
					if err := os.RemoveAll(filepath.Join(s.dir, "nodes", "etcd-2")); err != nil {
						t.Fatal(err)
					}
					s.wide = true
				},
			}, func(day int) bool { return day >= 480 && day < 540 })
			s.wide = false // the issuing CAs were replaced since
			s.verify(begin.Add(1094 * day))
			s.wantIssued(issued)
		})
	}
}

// revoke revokes all certificates of a name but the one in use, and wants the lists of every
// member to have them until the last one has ended.
func (s *simulation) revoke(now time.Time, name string) {
	s.t.Helper()
	c := s.cluster()
	store, err := pki.OpenStore(s.dir, c)
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	result, err := store.ApplyRevocation(context.Background(), c, pki.Revocation{Which: name, Reason: "superseded"}, now, false)
	if err != nil {
		s.t.Fatalf("%s: %v", s.age(now), err)
	}
	if len(result.Revoked) == 0 {
		s.t.Fatalf("%s: nothing of %s was revoked", s.age(now), name)
	}
	s.revoked = append(s.revoked, result.Revoked...)
}

// listed wants every revoked certificate that has not ended in a list of each member.
func (s *simulation) listed(now time.Time) {
	s.t.Helper()
	c := s.cluster()
	for _, m := range c.Etcd.Members {
		serials := map[string]bool{}
		for _, file := range []string{c.Files(m).ClientCRL, c.Files(m).PeerCRL} {
			data, err := os.ReadFile(filepath.Join(s.dir, "nodes", m.Name, "pki", file))
			if err != nil {
				if len(s.revoked) > 0 {
					s.t.Errorf("%s: %v", s.age(now), err)
				}
				continue
			}
			list, err := x509.ParseRevocationList(data)
			if err != nil {
				s.t.Fatal(err)
			}
			if now.After(list.NextUpdate) {
				s.t.Errorf("%s: %s of %s is out of date", s.age(now), file, m.Name)
			}
			for _, e := range list.RevokedCertificateEntries {
				serials[pki.SerialString(e.SerialNumber)] = true
			}
		}
		for _, r := range s.revoked {
			if now.Before(r.NotAfter) && !serials[r.Serial] {
				s.t.Errorf("%s: %s with serial number %s is revoked, valid until %s, and in no list of %s", s.age(now), r.Name, r.Serial, r.NotAfter, m.Name)
			}
		}
	}
}

// What another tool made is renewed from the day on which it was taken over: its leaves of a
// year, its CA of ten, which signs them itself; or a CA that ends before its leaves do.
func TestThreeYearsOfAnImport(t *testing.T) {
	t.Parallel()
	testThreeYearsOfAnImport(t, false)
}

func testThreeYearsOfAnImport(t *testing.T, all bool) {
	t.Helper()
	cases := map[string]struct {
		made   string // spec.pki of what was there
		longer bool   // its server leaf outlives its CA
		issued map[string]int
		long   bool // only with the build tag e2e
	}{
		// Leaves on day 244, when a third of their year is left; then each 60 days.
		"kubeadm":                     {made: "{layout: kubeadm, hierarchy: shared, rootLifetime: 87600h, leafLifetime: 8760h}", issued: map[string]int{"leaf": 78}, long: true},
		"k3s":                         {made: "{layout: k3s, hierarchy: single, rootLifetime: 87600h, leafLifetime: 8760h}", issued: map[string]int{"leaf": 81}, long: true},
		"kops":                        {made: "{layout: kops, hierarchy: single, rootLifetime: 87600h, leafLifetime: 8760h}", issued: map[string]int{"leaf": 84}, long: true},
		"a CA of fifteen months":      {made: "{layout: k3s, hierarchy: single, rootLifetime: 10920h, leafLifetime: 8760h}", issued: map[string]int{"leaf": 81, "root": 2}, long: true},
		"a leaf that outlives its CA": {made: "{layout: k3s, hierarchy: single, rootLifetime: 10920h, leafLifetime: 8760h}", longer: true, issued: map[string]int{"leaf": 84, "root": 2}},
	}
	for name, tc := range cases {
		if tc.long && !all {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			foreign := newSimulation(t, simulatedSpec+"    enableGRPCGateway: true\n  pki: "+tc.made+"\n", onLine)
			foreign.apply(begin, pki.Renewal{}, false, nil)
			folder := filepath.Join(foreign.dir, "nodes", "etcd-0", "pki")
			c := foreign.cluster()
			files := c.Files(c.Etcd.Members[0])
			for root, file := range map[string]string{pki.ClientRoot: files.ClientCA, pki.PeerRoot: files.PeerCA} {
				if data, err := os.ReadFile(filepath.Join(foreign.dir, "authorities", root, "ca.key")); err == nil {
					if err := os.WriteFile(filepath.Join(folder, strings.TrimSuffix(file, ".crt")+".key"), data, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			if tc.longer {
				outlive(t, filepath.Join(folder, files.Server.Cert), filepath.Join(folder, files.ClientCA))
			}
			found, err := pki.ReadForeignCluster(nil, pki.SpecConfig{Name: "clock", Version: "3.6.16"}, []pki.MemberFolder{{Member: "etcd-0", Dir: folder}})
			if err != nil {
				t.Fatal(err)
			}
			s := newSimulation(t, string(found.Cluster.YAML), onLine)
			if _, err := found.AdoptInto(s.dir, begin, false); err != nil {
				t.Fatal(err)
			}
			// Clients of the spec that the other tool had none for are issued by the first run.
			s.apply(begin, pki.Renewal{}, false, nil)
			if said := s.status(begin); tc.longer != slices.Contains(said.due, "etcd-0/server") {
				t.Errorf("status says of a leaf that outlives its CA, %v: %v", tc.longer, said.due)
			}
			s.apply(begin, pki.Renewal{Due: true}, false, nil)
			s.through(1095, day, nil, nil)
			s.wantIssued(tc.issued)
		})
	}
}

// outlive signs a certificate again, to end a hundred days after its CA.
func outlive(t testing.TB, certPath, caPath string) {
	t.Helper()
	leaf, ca := leafOf(t, filepath.Dir(certPath), filepath.Base(certPath)), leafOf(t, filepath.Dir(caPath), filepath.Base(caPath))
	key, err := pki.ReadKey(strings.TrimSuffix(caPath, ".crt") + ".key")
	if err != nil {
		t.Fatal(err)
	}
	leaf.NotAfter = ca.NotAfter.Add(100 * day)
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, leaf.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
}
