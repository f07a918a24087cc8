package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/net/html"
	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/report"
)

// In no format does a text of others act on a terminal or on the eye, and none is endless.
func TestHostileText(t *testing.T) {
	t.Parallel()
	const endless = 1 << 20
	long := stamped(hostile(hostileText + strings.Repeat("é", endless))) // no renderer changes it
	for _, f := range report.Formats(false) {
		t.Run(f.Name, func(t *testing.T) {
			got := string(render(t, f.Name, stamped(hostile(hostileText))))
			if !utf8.ValidString(got) {
				t.Error("not UTF-8")
			}
			for _, r := range got {
				if r != '\n' && !strconv.IsPrint(r) {
					t.Fatalf("%U is in it", r)
				}
			}
			if !strings.Contains(got, "日本") {
				t.Error("what can be printed is gone")
			}
			if f.Name == "json" {
				return // has everything as it was
			}
			if n := len(render(t, f.Name, long)); n > endless {
				t.Errorf("%d bytes", n)
			}
		})
	}
}

// A report of several hosts names the host of what each of them has. A report of one names it only in the
// formats that others join.
func TestHosts(t *testing.T) {
	t.Parallel()
	of := func(host string) audit.Report {
		l := &audit.Listener{Address: "127.0.0.1:2379", Kind: audit.Client}
		l.SetObserver(host)
		return stamped(audit.Run([]audit.Check{check("first", audit.Medium, audit.Client, map[string]audit.Outcome{l.Address: audit.Failed(audit.Finding{Code: "b", Text: "seen b"})})}, []audit.Target{l}))
	}
	both, _ := audit.Merge([]audit.Report{of("cp-0"), of("cp-1")})
	for _, f := range report.Formats(false) {
		got := string(render(t, f.Name, both))
		for _, host := range []string{"cp-0", "cp-1"} {
			if !strings.Contains(got, host) {
				t.Errorf("%s does not name %s", f.Name, host)
			}
		}
		joined := slices.Contains([]string{"json", "sarif", "openreports", "policyreport", "oscal", "oscal-plan"}, f.Name)
		if one := string(render(t, f.Name, of("cp-0"))); strings.Contains(one, "cp-0") != joined {
			t.Errorf("%s names the only host, or does not: %v", f.Name, joined)
		}
	}
}

// Equal reports give equal bytes, whatever else there is in the process.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	for _, f := range report.Formats(false) {
		for name := range reports() {
			if diff := cmp.Diff(string(render(t, f.Name, reports()[name])), string(render(t, f.Name, reports()[name]))); diff != "" {
				t.Errorf("%s of %s: %s", f.Name, name, diff)
			}
		}
	}
}

// The JSON says what the report says: only how a character is written may differ.
func TestJSONMeansTheSame(t *testing.T) {
	t.Parallel()
	r := stamped(hostile("\U0001D159 \U000E0001 \u202e \u0085 <&>"))
	plain, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(render(t, "json", r), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(plain, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTextForgesNoLine(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(string(render(t, "text", stamped(hostile(hostileText))))) {
		if strings.HasPrefix(strings.TrimSpace(line), "FAIL critical\n") || strings.HasPrefix(strings.TrimSpace(line), "--flag") && !strings.HasPrefix(line, "          ") {
			t.Errorf("forged: %s", line)
		}
	}
}

func TestCSVHasNoFormula(t *testing.T) {
	t.Parallel()
	rows, err := csv.NewReader(bytes.NewReader(render(t, "csv", stamped(hostile(hostileText))))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	texts := 0
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Errorf("a formula: %s", cell)
			}
			if strings.HasPrefix(cell, "'=cmd") {
				texts++
			}
		}
	}
	if texts == 0 {
		t.Error("the hostile cell is not there")
	}
	for cell, want := range map[string]string{"": "", "a=b": "a=b", "=1": "'=1", "＝1": "'＝1", "  -1": "'  -1", "@x": "'@x", "+": "'+"} {
		r := stamped(hostile("x"))
		r.Results = r.Results[:1]
		r.Results[0].Evidence = cell
		rows, err := csv.NewReader(bytes.NewReader(render(t, "csv", r))).ReadAll()
		if err != nil || rows[1][6] != want {
			t.Errorf("%q: %q %v", cell, rows, err)
		}
	}
}

func TestJUnit(t *testing.T) {
	t.Parallel()
	type outcome struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	var suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
		Cases    []struct {
			Name    string   `xml:"name,attr"`
			Failure *outcome `xml:"failure"`
			Error   *outcome `xml:"error"`
			Skipped *outcome `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal(render(t, "junit", stamped(hostile(hostileText))), &suites); err != nil {
		t.Fatal(err)
	}
	if suites.Tests != 6 || suites.Failures != 2 || suites.Errors != 1 || suites.Skipped != 2 || len(suites.Cases) != 6 {
		t.Errorf("%+v", suites)
	}
	for _, c := range suites.Cases {
		kinds := map[string]bool{"fails": c.Failure != nil, "of-a-host": c.Failure != nil, "unknown": c.Error != nil, "is-waived": c.Skipped != nil, "skips": c.Skipped != nil, "passes": c.Failure == nil && c.Error == nil && c.Skipped == nil}
		if !kinds[c.Name] {
			t.Errorf("%+v", c)
		}
		if c.Name == "fails" && !strings.Contains(c.Failure.Text, "]]> <script>") {
			t.Errorf("not as it was: %s", c.Failure.Text)
		}
	}
}

// A browser finds the elements and attributes of the template in the page, and none that
// came with a text.
func TestHTMLHasNoForeignElement(t *testing.T) {
	t.Parallel()
	elements := func(page []byte) (names []string) {
		z := html.NewTokenizer(bytes.NewReader(page))
		for z.Next() != html.ErrorToken {
			token := z.Token()
			if token.Type != html.StartTagToken && token.Type != html.SelfClosingTagToken {
				continue
			}
			names = append(names, token.Data)
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || a.Key == "href" && a.Val != "data:," {
					t.Errorf("%s", token)
				}
			}
		}
		return names
	}
	got := elements(render(t, "html", stamped(hostile(hostileText))))
	if want := elements(render(t, "html", stamped(hostile("harmless\nmore\n--flag\nand more")))); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(got) < 50 || slices.Contains(got, "script") || slices.Contains(got, "img") || !slices.Contains(got, "svg") {
		t.Errorf("%q", got)
	}
}

func TestMarkdownHasNoHTMLOrMention(t *testing.T) {
	t.Parallel()
	got := string(render(t, "markdown", stamped(hostile(hostileText))))
	if !strings.Contains(got, "<script>") {
		t.Fatal("the hostile text is not in a code span")
	}
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "| ") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 8 {
			t.Errorf("columns: %s", line)
		}
	}
	// Without code, escapes and what is bold in every report, nothing is left that means more
	// than text.
	got = regexp.MustCompile(`\*\*[A-Za-z0-9 :]+\*\*`).ReplaceAllString(withoutCode(got), "")
	if at := strings.IndexAny(got, "<[]{}*_`@"); at >= 0 {
		t.Errorf("%q is left in %s", got[at], got[max(0, at-40):min(len(got), at+40)])
	}
}

// withoutCode drops the code spans and fenced blocks of a Markdown text, by CommonMark's
// rule for both: a run of backticks ends at the next run of the same length. It drops what
// is escaped by a backslash too.
func withoutCode(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '`':
			n := len(text[i:]) - len(strings.TrimLeft(text[i:], "`"))
			end := regexp.MustCompile("[^`](`{" + strconv.Itoa(n) + "})([^`]|$)").FindStringSubmatchIndex(text[i+n:])
			if end == nil {
				return b.String() + text[i:]
			}
			i += n + end[3] - 1
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

func TestPrometheusParses(t *testing.T) {
	t.Parallel()
	for name, r := range reports() {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(render(t, "prometheus", r)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := len(families["etcdsec_audit_results"].GetMetric()); got != 5 {
			t.Errorf("%s: %d verdicts are counted", name, got)
		}
		if got := len(families["etcdsec_audit_result"].GetMetric()); got != len(r.Results) {
			t.Errorf("%s: %d results, want %d", name, got, len(r.Results))
		}
		if got := families["etcdsec_audit_last_run_timestamp_seconds"].GetMetric()[0].GetGauge().GetValue(); got != float64(audited.Unix()) {
			t.Errorf("%s: ran at %v", name, got)
		}
		certificates := 0
		for _, l := range r.Inventory.Listeners {
			certificates += len(l.Certificates)
		}
		if got := len(families["etcdsec_audit_certificate_not_after_timestamp_seconds"].GetMetric()); got != certificates {
			t.Errorf("%s: %d certificates, want %d", name, got, certificates)
		}
	}
}

// node_exporter drops a file in which a series is twice.
func TestPrometheusHasNoSeriesTwice(t *testing.T) {
	t.Parallel()
	r := reports()["cluster"]
	r.Results = append(r.Results, r.Results...)
	r.Inventory.Listeners = append(r.Inventory.Listeners, r.Inventory.Listeners...)
	seen := map[string]bool{}
	for line := range strings.Lines(string(render(t, "prometheus", r))) {
		series := line[:strings.LastIndexByte(line, ' ')]
		if seen[series] {
			t.Errorf("twice: %s", series)
		}
		seen[series] = true
	}
}

func TestOpenReportCounts(t *testing.T) {
	t.Parallel()
	var object struct {
		Summary map[string]int `json:"summary"`
		Results []struct {
			Policy, Result string
			Properties     map[string]string
		} `json:"results"`
	}
	if err := yaml.Unmarshal(render(t, "openreports", stamped(hostile(hostileText))), &object); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"pass": 1, "fail": 2, "warn": 0, "error": 1, "skip": 2}, object.Summary); diff != "" {
		t.Error(diff)
	}
	for _, result := range object.Results {
		if (result.Properties["waived"] != "") != (result.Policy == "is-waived") {
			t.Errorf("%+v", result)
		}
	}
}

func TestSARIFSuppresses(t *testing.T) {
	t.Parallel()
	var log struct {
		Runs []struct {
			Results []struct {
				RuleID       string `json:"ruleId"`
				Kind         string `json:"kind"`
				Level        string `json:"level"`
				Suppressions []struct{ Justification string }
				Fingerprints map[string]string `json:"partialFingerprints"`
				Baseline     *string           `json:"baselineState"`
			} `json:"results"`
		} `json:"runs"`
	}
	if err := json.Unmarshal(render(t, "sarif", stamped(hostile("x"))), &log); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, result := range log.Runs[0].Results {
		kinds[result.RuleID] = result.Kind + " " + result.Level
		if (len(result.Suppressions) == 1) != (result.RuleID == "is-waived") || len(result.Fingerprints) != 1 || result.Baseline != nil {
			t.Errorf("%+v", result)
		}
	}
	want := map[string]string{"fails": "fail error", "of-a-host": "fail note", "is-waived": "fail error", "unknown": "open none"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}
}

// Every UUID that OSCAL refers to is defined in the document, and none twice.
func TestOSCALReferences(t *testing.T) {
	t.Parallel()
	for name, r := range reports() {
		data := string(render(t, "oscal", r))
		defined := map[string]bool{}
		for _, match := range regexp.MustCompile(`"uuid": "([^"]+)"`).FindAllStringSubmatch(data, -1) {
			if defined[match[1]] {
				t.Errorf("%s: %s is defined twice", name, match[1])
			}
			defined[match[1]] = true
		}
		references := regexp.MustCompile(`"(?:[a-z]+-uuid|href)": "#?([^"]+)"`).FindAllStringSubmatch(data, -1)
		if len(references) == 0 {
			t.Errorf("%s: no references", name)
		}
		for _, match := range references {
			if !defined[match[1]] {
				t.Errorf("%s: %s is defined nowhere", name, match[1])
			}
		}
	}
}
