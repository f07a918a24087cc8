package waivers_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/waivers"
	"github.com/etcdsec/etcdsec/internal/strictyaml"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

const head = "apiVersion: etcdsec.dev/v1alpha1\nkind: Waivers\n"

const good = head + `waivers:
  - check: metrics-exposed
    target: "10.0.0.1?:2379"
    fingerprint: 0123456789abcdef0123456789abcdef
    owner: platform@example.com
    reason: the old Prometheus scrapes the client port
    ticket: SEC-1234
    expires: 2027-03-31
  - {check: cert-expiry, target: "*", owner: pki, reason: renewed by hand, expires: "2026-01-01"}
`

func checks() waivers.Checks {
	return waivers.Checks{
		IDs: []string{"metrics-exposed", "cert-expiry"},
		Near: func(id string) []string {
			if strings.HasPrefix(id, "cert") {
				return []string{"cert-expiry"}
			}
			return nil
		},
	}
}

func read(file string) ([]audit.WaiverRule, error) {
	return waivers.Read("waivers.yaml", strings.NewReader(file), checks(), now)
}

func TestRead(t *testing.T) {
	got, err := read(good)
	if err != nil {
		t.Fatal(err)
	}
	want := []audit.WaiverRule{
		{
			Waiver: audit.Waiver{
				Reason: "the old Prometheus scrapes the client port", Owner: "platform@example.com", Ticket: "SEC-1234",
				Expires: time.Date(2027, 3, 31, 23, 59, 59, 0, time.UTC),
			},
			CheckID: "metrics-exposed", Target: "10.0.0.1?:2379", Fingerprint: "0123456789abcdef0123456789abcdef", Origin: "waivers.yaml:4",
		},
		{
			Waiver:  audit.Waiver{Reason: "renewed by hand", Owner: "pki", Expires: time.Date(2026, 1, 1, 23, 59, 59, 0, time.UTC)},
			CheckID: "cert-expiry", Target: "*", Origin: "waivers.yaml:11",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, err := read(head + "waivers: []\n"); err != nil || len(got) > 0 {
		t.Errorf("none: %v, %v", got, err)
	}
}

func TestReadRefuses(t *testing.T) {
	entry := func(fields string) string {
		return head + "waivers:\n  - {" + fields + "}\n"
	}
	const rest = ", target: \"*\", owner: o, reason: r"
	for name, c := range map[string]struct {
		file string
		want []string
	}{
		"empty":          {"", []string{"waivers.yaml: the file is empty"}},
		"only a comment": {"# none yet\n", []string{"no YAML document"}},
		"not YAML":       {"{{{", []string{"not YAML"}},
		"a list":         {"- a\n", []string{"want a mapping"}},
		"two documents":  {good + "---\n" + good, []string{"a second YAML document"}},
		"another kind":   {strings.Replace(good, "Waivers", "Cluster", 1), []string{`waivers.yaml:2: kind: want Waivers, got "Cluster"`}},
		"no version":     {strings.Replace(good, "apiVersion", "apiversion", 1), []string{"waivers.yaml:1: apiversion: unknown key"}},
		"no waivers":     {head, []string{"waivers: is missing; a file without any says waivers: []"}},
		"all at once": {entry("check: cert-expyr, expires: 31.3.2027, fingerprint: xyz, until: 1"), []string{
			"waivers.yaml:4: waivers[0].until: unknown key; known here: check, target, host, fingerprint, owner, reason, ticket, expires",
		}},
		"all values at once": {entry("check: cert-expyr, expires: 31.3.2027, fingerprint: xyz"), []string{
			`waivers.yaml:4: waivers[0].check: no check has the ID "cert-expyr"; the nearest are cert-expiry`,
			"waivers.yaml:4: waivers[0].target: is missing",
			"waivers.yaml:4: waivers[0].owner: is missing",
			"waivers.yaml:4: waivers[0].reason: is missing",
			`waivers.yaml:4: waivers[0].expires: want a day such as 2027-02-20, got "31.3.2027"`,
			`waivers.yaml:4: waivers[0].fingerprint: want 32 hexadecimal digits`,
		}},
		"no check":          {entry("expires: 2027-03-31" + rest), []string{"waivers[0].check: is missing; `etcdsec audit list`"}},
		"an unlike check":   {entry("check: zzz, expires: 2027-03-31" + rest), []string{`no check has the ID "zzz"; ` + "`etcdsec audit list`"}},
		"no expiry":         {entry("check: cert-expiry" + rest), []string{"expires: is missing; a waiver ends on a day"}},
		"never":             {entry("check: cert-expiry, expires: never" + rest), []string{`want a day`, `got "never"`}},
		"no such day":       {entry("check: cert-expiry, expires: 2027-02-30" + rest), []string{`got "2027-02-30"`}},
		"an hour":           {entry("check: cert-expiry, expires: 2027-02-20T10:00:00Z" + rest), []string{"want a day"}},
		"too far":           {entry("check: cert-expiry, expires: 2027-12-26" + rest), []string{"more than 400 days ahead; want 2027-12-25 or sooner"}},
		"the year 9999":     {entry("check: cert-expiry, expires: 9999-12-31" + rest), []string{"more than 400 days ahead"}},
		"empty reason":      {entry(`check: cert-expiry, expires: 2027-03-31, target: "*", owner: o, reason: " "`), []string{"reason: is missing"}},
		"escape codes":      {entry(`check: cert-expiry, expires: 2027-03-31, target: "*", owner: "\e[2J", reason: "a\nb", ticket: "\x9b"`), []string{"owner: want one line", "reason: want one line", "ticket: want one line"}},
		"a long reason":     {entry(`check: cert-expiry, expires: 2027-03-31, target: "*", owner: o, reason: ` + strings.Repeat("x", 501)), []string{"longer than 500 bytes"}},
		"a number":          {entry("check: cert-expiry, expires: 2027-03-31, ticket: 12" + rest), []string{"ticket: want a string", "put it in quotes"}},
		"duplicate":         {good + "  - {check: cert-expiry, target: \"*\", owner: other, reason: again, expires: 2026-12-01}\n", []string{"waivers.yaml:12: waivers[2]: waives the same as waivers[1] on line 11"}},
		"a key twice":       {entry("check: cert-expiry, check: cert-expiry, expires: 2027-03-31" + rest), []string{"check: is given twice"}},
		"a bomb of aliases": {head + "waivers: &a [*a, *a, *a]\n", []string{"anchors and aliases are not allowed"}},
		"an unfolding bomb": {"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\n" + good, []string{"a: unknown key"}},
		"deep":              {head + "waivers: " + strings.Repeat("[", 20000), []string{"not YAML"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(c.file)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in:\n%v", want, err)
				}
			}
			var fault *strictyaml.Fault
			if !errors.As(err, &fault) || fault.File != "waivers.yaml" {
				t.Errorf("no located fault in %v", err)
			}
		})
	}
	if _, err := read(entry("check: cert-expiry, expires: 2027-12-25" + rest)); err != nil {
		t.Errorf("400 days ahead: %v", err)
	}
}

func TestReadHuge(t *testing.T) {
	_, err := waivers.Read("waivers.yaml", io.LimitReader(endless{}, 1<<30), checks(), now)
	if err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// What is accepted is complete: nothing is waived without somebody who answers for it, and no
// longer than is allowed.
func FuzzRead(f *testing.F) {
	seeds := []string{good, head, head + "waivers: [{check: cert-expiry}]", "a: &a [*a]", "{{{{"}
	if len(seeds) == 0 {
		f.Fatal("no seed")
	}
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		rules, err := waivers.Read("waivers.yaml", bytes.NewReader(file), checks(), now)
		if err != nil {
			return
		}
		for _, r := range rules {
			if r.Owner == "" || r.Reason == "" || r.Target == "" || r.CheckID == "" || r.Expires.IsZero() || r.Expires.After(now.AddDate(0, 0, 401)) {
				t.Errorf("%+v", r)
			}
			if strings.ContainsAny(r.Owner+r.Reason+r.Ticket+r.Target, "\x00\x1b\n\r\u009b") {
				t.Errorf("not fit for a terminal: %+v", r)
			}
		}
	})
}
