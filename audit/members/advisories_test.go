package members

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
)

// The table that is built in is whole, and as new as the releases that it names.
func TestKnown(t *testing.T) {
	known, err := ParseAdvisories([]byte(embedded))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(known, Known()); diff != "" {
		t.Error(diff)
	}
	if len(known.Advisories) < 17 || len(known.Branches) < 5 {
		t.Errorf("%d advisories, %d branches", len(known.Advisories), len(known.Branches))
	}
	asOf, err := time.Parse(time.DateOnly, known.AsOf)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range known.Branches {
		if end, err := time.Parse(time.DateOnly, b.EndOfLife); b.EndOfLife != "" && (err != nil || end.After(asOf)) {
			t.Errorf("branch %s ends on %s, after the table", b.Name, b.EndOfLife)
		}
		if b.Newest == "" {
			continue
		}
		v, err := parseVersion(b.Newest)
		if err != nil {
			t.Fatal(err)
		}
		if found := known.findAffecting(v, &audit.Listener{}); len(found) > 0 {
			t.Errorf("the newest of %s has %v", b.Name, found)
		}
	}
}

const table = `{
  "as_of": "2026-11-20",
  "branches": [{"name": "3.6", "from": "3.6.0", "before": "3.7.0", "newest": "3.6.16"}],
  "advisories": [{"id": "CVE-1", "scope": "rbac", "summary": "s", "source": "https://example.com/1", "ranges": [{"introduced": "3.6.0", "fixed": "3.6.9"}]}]
}`

func TestParseAdvisories(t *testing.T) {
	for name, c := range map[string]struct {
		old, changed string // replaced in table
		want         []string
	}{
		"whole":                  {"", "", nil},
		"not JSON":               {"{", "", []string{"reading advisories"}},
		"an unknown key":         {`"scope"`, `"severity": "x", "scope"`, []string{`unknown field "severity"`}},
		"something after it":     {"}]\n}", "}]\n} {}", []string{"after the table"}},
		"no day":                 {"2026-11-20", "2026-11-31", []string{`as_of "2026-11-31"`}},
		"no branches":            {`[{"name": "3.6", "from": "3.6.0", "before": "3.7.0", "newest": "3.6.16"}]`, "[]", []string{"branches: none"}},
		"a branch without end":   {`"before": "3.7.0"`, `"before": ""`, []string{`branch "3.6"`, "fixed or limit"}},
		"a branch without state": {`, "newest": "3.6.16"`, "", []string{"neither end_of_life nor"}},
		"no end of life":         {`"newest": "3.6.16"`, `"end_of_life": "soon"`, []string{`end_of_life "soon"`}},
		"a branch without name":  {`"name": "3.6"`, `"name": ""`, []string{"branches[0]: no name"}},
		"no id":                  {"CVE-1", "", []string{"advisories[0]: no id"}},
		"a scope":                {`"rbac"`, `"all"`, []string{`CVE-1: scope "all": want control-plane or rbac`}},
		"no summary":             {`"s"`, `""`, []string{"no summary"}},
		"no source":              {"https://", "http://", []string{"https:// URL"}},
		"no ranges":              {`[{"introduced": "3.6.0", "fixed": "3.6.9"}]`, "[]", []string{"no ranges"}},
		"no end":                 {`, "fixed": "3.6.9"`, "", []string{"ranges[0]: want one end"}},
		"two ends":               {`"fixed": "3.6.9"`, `"fixed": "3.6.9", "limit": "3.7.0"`, []string{"ranges[0]: want one end"}},
		"the wrong way round":    {`"3.6.9"`, `"3.5.9"`, []string{"3.6.0 is not before 3.5.9"}},
		"no version":             {`"3.6.9"`, `"3.6"`, []string{`"3.6" is not a version`}},
		"several faults":         {`"s", "source": "https://`, `"", "source": "`, []string{"no summary", "https:// URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(table, c.old, c.changed, 1)
			if c.old != "" && text == table {
				t.Fatalf("%q is not in the table", c.old)
			}
			_, err := ParseAdvisories([]byte(text))
			if (err == nil) != (len(c.want) == 0) {
				t.Fatalf("got %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %v", want, err)
				}
			}
		})
	}
	twice := strings.Replace(table, `"advisories": [`, `"advisories": [{"id": "CVE-1", "scope": "rbac", "summary": "s", "source": "https://example.com/1", "ranges": [{"fixed": "3.6.9"}]},`, 1)
	if _, err := ParseAdvisories([]byte(twice)); err == nil || !strings.Contains(err.Error(), "listed twice") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseAdvisories(f *testing.F) {
	seeds := []string{table, embedded, "{}", "", `{"as_of": "2026-11-20", "branches": [{}], "advisories": [{}]}`}
	if len(seeds) == 0 {
		f.Fatal("no seed")
	}
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ParseAdvisories(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseAdvisories(again)
		if err != nil || !cmp.Equal(a, b) {
			t.Errorf("%v: %s", err, cmp.Diff(a, b))
		}
	})
}

func TestParseVersion(t *testing.T) {
	for s, want := range map[string]version{
		"3.6.16":         {number: [4]int{3, 6, 16, 1}},
		"3.7.0-rc.1":     {number: [4]int{3, 7, 0, 0}},
		"3.7.0-alpha.0":  {number: [4]int{3, 7, 0, 0}},
		"3.5.0-pre":      {number: [4]int{3, 5, 0, 0}},
		"3.4.23-3":       {number: [4]int{3, 4, 23, 1}, rebuilt: true},
		"3.5.9+dfsg1-1":  {number: [4]int{3, 5, 9, 1}, rebuilt: true},
		"3.6.8-0ubuntu1": {number: [4]int{3, 6, 8, 1}, rebuilt: true},
		"3.6.8~ds1":      {number: [4]int{3, 6, 8, 1}, rebuilt: true},
		"3.6.16+dirty":   {number: [4]int{3, 6, 16, 1}, rebuilt: true},
	} {
		if got, err := parseVersion(s); err != nil || got != want {
			t.Errorf("%s: got %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "banana", "3.6", "3.6.16.1", "v3.6.16", "3.6.x", "-1.0.0", "3.6.70000"} {
		if got, err := parseVersion(s); err == nil {
			t.Errorf("%q is %v", s, got)
		}
	}
}
