package audit_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
)

// written is a report with every verdict, as JSON.
func written(t testing.TB) (audit.Report, string) {
	t.Helper()
	r := verdicts(map[string]audit.Outcome{
		"a:1 one": failed("x", "y"), "a:1 two": failed("x"), "b:1 one": audit.CouldNotTell("no answer"), "b:1 two": audit.Skipped("no TLS"),
	})
	r.Tool, r.StartedAt, r.FinishedAt = audit.Tool{Name: audit.ToolName, Version: "v0.1.0"}, today, today.Add(1)
	r.Waive([]audit.WaiverRule{until(1, "two", "a:1")}, today)
	r.Shard = &audit.Shard{Index: 1, Count: 2}
	for i := range r.Results {
		r.Results[i].References = []string{"NIST 800-53 SC-8"}
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return r, string(data)
}

func TestReadReport(t *testing.T) {
	want, data := written(t)
	got, err := audit.ReadReport(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Fields are added in later versions; the first reports had fewer.
func TestReadReportOtherFields(t *testing.T) {
	_, data := written(t)
	for name, changed := range map[string]string{
		"of the report":   strings.Replace(data, "{", `{"later": {"a": [1, {"b": [[]]}], "c": null}, "x": "y",`, 1),
		"of a result":     strings.Replace(data, `"check_id"`, `"later": {"a": []}, "check_id"`, 1),
		"of a waiver":     strings.Replace(data, `"reason"`, `"later": 1, "reason"`, 1),
		"without a shard": strings.Replace(data, `"shard"`, `"later"`, 1),
		"without codes":   strings.ReplaceAll(data, `"codes"`, `"later"`),
	} {
		t.Run(name, func(t *testing.T) {
			if changed == data {
				t.Fatal("nothing was changed")
			}
			r, err := audit.ReadReport(strings.NewReader(changed))
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Results) != 6 || r.Results[0].Codes == nil {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestReadReportRefuses(t *testing.T) {
	_, data := written(t)
	replaced := func(old, with string) string {
		changed := strings.Replace(data, old, with, 1)
		if changed == data {
			t.Fatalf("%q is not in the report", old)
		}
		return changed
	}
	for name, c := range map[string]struct{ data, want string }{
		"nothing":             {"", "the file is empty"},
		"white space":         {" \n", "the file "},
		"text":                {"clean: 3 targets", "not JSON at byte "},
		"an array":            {"[]", `got "[", want "{"`},
		"another object":      {`{"version": "2.1.0", "runs": []}`, `it has no "schema_version"`},
		"a later version":     {replaced(`"schema_version": 1`, `"schema_version": 2`), "unknown schema_version 2"},
		"another tool":        {replaced(`"name": "etcdsec"`, `"name": "kube-bench"`), `the report comes from "kube-bench"`},
		"no results":          {replaced(`"results"`, `"result"`), `it has no "results"`},
		"results null":        {`{"schema_version":1,"results":null}`, `results: got "<nil>", want "["`},
		"results twice":       {replaced(`"summary"`, `"results": [], "summary"`), `the field "results" appears twice`},
		"verdict":             {replaced(`"verdict": "fail"`, `"verdict": "warn"`), `results: [0].verdict: "warn" is not a verdict`},
		"severity":            {replaced(`"severity": "high"`, `"severity": "HIGH"`), `severity: "HIGH" is not a severity`},
		"check_id":            {replaced(`"check_id": "one"`, `"check_id": ""`), "[0].check_id: is missing"},
		"target":              {replaced(`"target": "a:1"`, `"target": ""`), "[0].target: is missing"},
		"fingerprint":         {replaced(`"fingerprint"`, `"finger"`), "[0].fingerprint: is missing"},
		"a waived unknown":    {replaced(`"verdict": "fail",`, `"verdict": "unknown", "waiver": {"reason": "x"}, "verdict": "unknown",`), "the summary does not match"},
		"a wrong type":        {replaced(`"target": "a:1"`, `"target": 7`), "got a number, want a string"},
		"a wrong time":        {replaced(`"started_at": "2026`, `"started_at": "yesterday`), "started_at"},
		"a summary by hand":   {replaced(`"fail": 1`, `"fail": 0`), "the summary does not match the results"},
		"a result taken out":  {replaced(`"summary": {`, `"summary": {"x": 0,`) + "x", "unexpected data after"},
		"a second report":     {data + data, "unexpected data after the report"},
		"a shard too many":    {replaced(`"index": 1`, `"index": 2`), "there is no index 2 of 2"},
		"deep":                {`{"x": ` + strings.Repeat("[", 1<<20), "nested more than"},
		"not UTF-8 in no key": {"{\"\xff\": 1}", `it has no "schema_version"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := audit.ReadReport(strings.NewReader(c.data))
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q in it", err, c.want)
			}
		})
	}
}

// Wherever a report ends too soon, it is refused.
func TestReadReportTruncated(t *testing.T) {
	_, data := written(t)
	for end := range len(data) {
		if _, err := audit.ReadReport(strings.NewReader(data[:end])); err == nil {
			t.Fatalf("accepted with %d of %d bytes", end, len(data))
		} else if end > 0 && !strings.Contains(err.Error(), "cut short") {
			t.Fatalf("%d of %d bytes: %v", end, len(data), err)
		}
	}
}

// A report that does not end is read to the bound, and what is passed over is not kept.
func TestReadReportHuge(t *testing.T) {
	for name, c := range map[string]struct{ start, unit, want string }{
		"what is passed over": {`{"x": [0`, ",0", "larger than 512 MiB"},
		"white space":         {`{"results": [`, " ", "it has a value that is too large"},
		"a text":              {`{"results": [{"evidence": "`, "x", "it has a value that is too large"},
		"a text passed over":  {`{"x": "`, "x", "it has a value that is too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := audit.ReadReportUpTo(io.MultiReader(strings.NewReader(c.start), &repeating{unit: []byte(strings.Repeat(c.unit, 1<<15))}), 3<<20)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// repeating is the unit again and again, however it is read.
type repeating struct {
	unit []byte
	at   int
}

func (r *repeating) Read(b []byte) (int, error) {
	n := copy(b, r.unit[r.at:])
	r.at = (r.at + n) % len(r.unit)
	return n, nil
}

// What a report of another host says cannot move the cursor of the terminal that shows it.
func TestReadReportCleans(t *testing.T) {
	_, data := written(t)
	data = strings.ReplaceAll(data, "seen x", `seen \u001b[2J\r\u009b\u2028\n`)
	r, err := audit.ReadReport(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if want := "seen ?[2J????\n"; !strings.HasPrefix(r.Results[0].Evidence, strings.Replace(want, "????", "???", 1)) {
		t.Errorf("got %q", r.Results[0].Evidence)
	}
}

// What is accepted says the same again when it is written and read again.
func FuzzReadReport(f *testing.F) {
	_, data := written(f)
	seeds := []string{data, "{}", `{"results": [`, `{"schema_version":1,"tool":{"name":"etcdsec"},"started_at":"2026-01-01T00:00:00Z","finished_at":"2026-01-01T00:00:00Z","results":[],"summary":{}}`}
	if len(seeds) == 0 {
		f.Fatal("no seed")
	}
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := audit.ReadReport(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			return // a year beyond 9999 is read and not written
		}
		same, err := audit.ReadReport(bytes.NewReader(again))
		if err != nil {
			t.Fatalf("accepted once only: %v", err)
		}
		if diff := cmp.Diff(r, same); diff != "" {
			t.Error(diff)
		}
		if d := audit.Compare(r, same); d.Summary.New+d.Summary.Fixed+d.Summary.Changed+d.Summary.Unasked+d.Summary.Unknown > 0 {
			t.Errorf("differs from itself: %+v", d.Summary)
		}
		if merged, _ := audit.Merge([]audit.Report{r, same}); len(merged.Results) > len(r.Results) {
			t.Error("merged with itself it has more results")
		}
	})
}
