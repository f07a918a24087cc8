package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// check ends on every target as its outcomes say, by address.
func check(id string, severity audit.Severity, kind audit.Kind, outcomes map[string]audit.Outcome) audit.Check {
	return audit.Check{
		ID: id, Title: "Title of " + id, Severity: severity,
		Rationale:   "Why " + id + " matters to whoever runs the cluster, in a sentence that is long enough to be broken into two lines of a terminal.",
		Remediation: "Say so in a sentence, then paste:\n--a-flag=" + id + " --another-flag-that-makes-the-line-very-long=so-that-it-would-be-broken-if-it-were-prose",
		References:  []string{"NIST 800-53 SC-8", "STIG V-242428"},
		Applies:     audit.On(kind),
		Run:         func(t *audit.Target) audit.Outcome { return outcomes[t.Address] },
	}
}

func reports() map[string]audit.Report {
	const healthy, bad, down, peer = "10.0.0.11:2379", "10.0.0.12:2379", "10.0.0.13:2379", "10.0.0.11:2380"
	pass := audit.Passed("seen in order")
	refused := audit.CouldNotTell("the port was not reached: connection refused")
	checks := []audit.Check{
		check("first", audit.Medium, audit.Client, map[string]audit.Outcome{healthy: pass, bad: audit.Failed(audit.Finding{Code: "b", Text: "seen b"}, audit.Finding{Code: "a", Text: "seen a"}), down: refused}),
		check("second", audit.Critical, audit.Client, map[string]audit.Outcome{healthy: pass, bad: audit.Failed(audit.Finding{Code: "c", Text: "seen c <&>"}), down: refused}),
		check("third", audit.High, audit.Client, map[string]audit.Outcome{healthy: audit.Skipped("no TLS"), bad: audit.CouldNotTell("no answer within 3s"), down: refused}),
		check("fourth", audit.High, audit.Peer, map[string]audit.Outcome{peer: pass}),
	}
	targets := func(addresses ...string) []*audit.Target {
		all := []*audit.Target{{Address: peer, Kind: audit.Peer}}
		for _, address := range addresses {
			all = append(all, &audit.Target{Address: address, Kind: audit.Client})
		}
		return all
	}
	stamped := func(r audit.Report) audit.Report {
		r.Tool = audit.Tool{Name: "etcdsec", Version: "v0.1.0"}
		r.StartedAt = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
		r.FinishedAt = r.StartedAt.Add(150 * time.Millisecond)
		return r
	}
	return map[string]audit.Report{
		"clean":    stamped(audit.Run(checks, targets(healthy))),
		"findings": stamped(audit.Run(checks, targets(healthy, down, bad))),
		"empty":    stamped(audit.Run(checks, nil)),
	}
}

func TestGolden(t *testing.T) {
	all := reports()
	if len(all) == 0 {
		t.Fatal("nothing to render")
	}
	for name, r := range all {
		for _, format := range report.Formats(false) {
			t.Run(name+"/"+format.Name, func(t *testing.T) {
				var got bytes.Buffer
				if err := format.Renderer.Render(&got, r); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join("testdata", name+"."+format.Name)
				if *update {
					if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got.String()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// The JSON has the fields of the contract and no others.
func TestJSONFields(t *testing.T) {
	var b bytes.Buffer
	if err := (report.JSON{}).Render(&b, reports()["findings"]); err != nil {
		t.Fatal(err)
	}
	var decoded map[string]any
	if err := json.Unmarshal(b.Bytes(), &decoded); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		object any
		want   []string
	}{
		{decoded, []string{"finished_at", "results", "schema_version", "started_at", "summary", "tool"}},
		{decoded["tool"], []string{"name", "version"}},
		{decoded["summary"], []string{"fail", "pass", "skip", "unknown", "waived"}},
		{decoded["results"].([]any)[0], []string{"check_id", "evidence", "fingerprint", "references", "remediation", "severity", "target", "title", "verdict", "waiver"}},
	} {
		var got []string
		for field := range c.object.(map[string]any) {
			got = append(got, field)
		}
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// A colour changes how a report looks and nothing that it says.
func TestColour(t *testing.T) {
	plain, colour := &strings.Builder{}, &strings.Builder{}
	r := reports()["findings"]
	if err := (report.Text{}).Render(plain, r); err != nil {
		t.Fatal(err)
	}
	if err := (report.Text{Colour: true}).Render(colour, r); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Error("escape codes without colour")
	}
	stripped := colour.String()
	for _, code := range []string{"31", "33", "32", "1", "0"} {
		stripped = strings.ReplaceAll(stripped, "\x1b["+code+"m", "")
	}
	if diff := cmp.Diff(plain.String(), stripped); diff != "" {
		t.Error(diff)
	}
}

type brokenPipe struct{}

var errBroken = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteError(t *testing.T) {
	for _, format := range report.Formats(true) {
		if err := format.Renderer.Render(brokenPipe{}, reports()["findings"]); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", format.Name, err)
		}
	}
}
