package report_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/data"
	"github.com/etcdsec/etcdsec/audit/report"
)

// Names out of a store and of its configuration are shown so that they act on nothing, in every
// format that a census has, in the findings as well as in the tables.
func TestHostileNamesOfKeys(t *testing.T) {
	t.Parallel()
	stored := audit.Writer{Provider: audit.KMSv2Provider, Key: hostileText, KeyID: hostileText}
	expected := audit.Writer{Provider: audit.SecretboxProvider, Key: "\u202ekey\n"}
	secrets := audit.ResourceCensus{Resource: "secrets", Objects: 5, Writers: []audit.WriterCount{{Writer: stored, Objects: 5, Ambiguous: 5, InDoubt: 5, Sample: []string{"ns/s"}}}}
	old := audit.ResidueCount{Values: 5, Resources: []audit.ResourceCensus{secrets}, Unplaced: audit.Unplaced{Values: 5, Writers: secrets.Writers}}
	c := audit.Census{
		Source: "snapshot " + hostileText, Revision: 7, Complete: false, Reason: hostileText, Notes: []string{hostileText}, Objects: 5,
		Resources: []audit.ResourceCensus{secrets},
		Residue:   &audit.Residue{Reason: hostileText, FreePages: old},
		Snapshot:  &audit.SnapshotFile{Size: 4096, Pages: 1},
		Expected:  []audit.EncryptionRule{{Resources: []string{"secrets"}, Writers: []audit.Writer{expected}}},
	}
	checks := []audit.Check{data.UnknownKey(), data.StaleKey(), data.Residue()}
	r := stamped(audit.Run(checks, []audit.Target{&audit.StoredData{Address: "file.db", Now: time.Now(), Census: &c}}))
	failed := 0
	for _, result := range r.Results {
		if result.Verdict != audit.Fail {
			continue // it tells why the census is not complete
		}
		failed++
		for _, text := range append(result.Codes, result.Evidence) {
			wantPrintable(t, "a finding of "+result.CheckID, text)
		}
	}
	if failed < 2 {
		t.Fatalf("%d checks fail", failed)
	}
	for _, f := range report.Formats(false) {
		var b bytes.Buffer
		if err := report.Write([]report.Output{{Format: f.Name}}, &b, false, r, &c); err != nil {
			t.Fatal(err)
		}
		wantPrintable(t, f.Name, b.String())
	}
	var b bytes.Buffer
	if err := report.WriteDiff(&b, audit.Diff{Changes: []audit.Difference{{Change: audit.Appeared, Target: hostileText, AddedCodes: []string{hostileText}, Evidence: hostileText}}}); err != nil {
		t.Fatal(err)
	}
	wantPrintable(t, "a diff", b.String())
}

func wantPrintable(t *testing.T, what, text string) {
	t.Helper()
	if text == "" {
		t.Errorf("%s is empty", what)
	}
	for _, r := range strings.ToValidUTF8(text, "\x00") {
		if r != '\n' && !strconv.IsPrint(r) {
			t.Errorf("%U is in %s", r, what)
			return
		}
	}
}
