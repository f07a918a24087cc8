package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

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
		{decoded, []string{"finished_at", "inventory", "results", "schema_version", "started_at", "summary", "tool"}},
		{decoded["inventory"], []string{"listeners"}},
		{decoded["tool"], []string{"name", "version"}},
		{decoded["summary"], []string{"fail", "pass", "skip", "unknown", "waived"}},
		{decoded["results"].([]any)[0], []string{
			"check_id", "codes", "evidence", "fingerprint", "kind", "rationale", "references", "remediation", "remediation_lines", "severity", "target", "title", "verdict", "waiver",
		}},
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

// Hosts that are down are one group with one reason, and the summary counts each of them.
func TestDeadTargetsAreOneGroup(t *testing.T) {
	t.Parallel()
	var r audit.Report
	for i := range 500 {
		target := fmt.Sprintf("10.0.%d.%d:2379", i/250, i%250)
		why := "the port was not reached: connection refused"
		if i == 7 {
			why = "no answer in 5s"
		}
		for _, check := range []string{"client-plaintext", "client-cert-required"} {
			r.Results = append(r.Results, audit.Result{CheckID: check, Target: target, Kind: audit.Client, Verdict: audit.Unknown, Severity: audit.High, Evidence: why})
		}
	}
	r.Summary.Unknown = len(r.Results)
	var b strings.Builder
	if err := (report.Text{}).Render(&b, r); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for want, n := range map[string]int{"connection refused": 1, "no answer in 5s": 1, "499 targets": 1, "998 unknown": 1, "and 489 more": 1, "500 targets, 1000 results": 1, "UNKNOWN": 2} {
		if strings.Count(text, want) != n {
			t.Errorf("want %d times %q in:\n%s", n, want, text)
		}
	}
}
