package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dlclark/regexp2"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/report"
)

// The schemas in testdata/schema:
//   - sarif-2.1.0.json is OASIS's, errata 01, as github.com/owenrumney/go-sarif/v3 v3.3.1 has it.
//   - report-v1alpha1.json is of the CustomResourceDefinition in
//     github.com/openreports/reports-api v0.2.1, policyreport-v1alpha2.json of the one in
//     github.com/kyverno/kyverno v1.19.1, both without their descriptions.
//   - oscal-assessment-plan-1.2.1.json and oscal-assessment-results-1.2.1.json are NIST's
//     (github.com/usnistgov/OSCAL v1.2.1, release assets). Their patterns are ECMA's.
//   - oscal-written-parts.json is our own, stricter than NIST's; it says so itself.
func TestSchemas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format, file string
	}{
		{"sarif", "sarif-2.1.0.json"},
		{"openreports", "report-v1alpha1.json"},
		{"policyreport", "policyreport-v1alpha2.json"},
		{"oscal", "oscal-written-parts.json"},
		{"oscal", "oscal-assessment-results-1.2.1.json"},
		{"oscal-plan", "oscal-assessment-plan-1.2.1.json"},
	} {
		schema := compile(t, c.file)
		for name, r := range reports() {
			t.Run(c.format+"/"+name, func(t *testing.T) {
				data, err := yaml.YAMLToJSON(render(t, c.format, r)) // JSON is YAML too
				if err != nil {
					t.Fatal(err)
				}
				document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
				if err != nil {
					t.Fatal(err)
				}
				if err := schema.Validate(document); err != nil {
					t.Error(err)
				}
			})
		}
		t.Run(c.format+"/something else", func(t *testing.T) {
			if err := schema.Validate(map[string]any{"results": "none", "runs": "none"}); err == nil {
				t.Error("the schema allows anything")
			}
		})
	}
}

// NIST's schemas refuse what is wrong in one place: a UUID, a token, a control.
func TestOSCALSchemasRefuse(t *testing.T) {
	t.Parallel()
	for format, file := range map[string]string{"oscal": "oscal-assessment-results-1.2.1.json", "oscal-plan": "oscal-assessment-plan-1.2.1.json"} {
		schema := compile(t, file)
		good := string(render(t, format, reports()["findings"]))
		for _, wrong := range [][2]string{{`"name": "check"`, `"name": "a check"`}, {`"control-id": "sc-8"`, `"control-id": "8 sc"`}, {`"oscal-version": "1.2.1"`, `"oscal-version": ""`}, {`"uuid": "`, `"uuid": "x`}} {
			document, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(good, wrong[0], wrong[1], 1)))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(good, wrong[0]) || schema.Validate(document) == nil {
				t.Errorf("%s may have %s", format, wrong[1])
			}
		}
	}
}

// The results name the plan of the same audit, and both the same controls and subjects.
func TestPlanOfResults(t *testing.T) {
	t.Parallel()
	for name, r := range reports() {
		var results struct {
			Of struct {
				ImportAP struct {
					Href string `json:"href"`
				} `json:"import-ap"`
			} `json:"assessment-results"`
		}
		var plan struct {
			Of struct {
				UUID  string `json:"uuid"`
				Tasks []any  `json:"tasks"`
			} `json:"assessment-plan"`
		}
		if err := json.Unmarshal(render(t, "oscal", r), &results); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(render(t, "oscal-plan", r), &plan); err != nil {
			t.Fatal(err)
		}
		checks := map[string]bool{}
		for _, result := range r.Results {
			checks[result.CheckID] = true
		}
		if results.Of.ImportAP.Href != "#"+plan.Of.UUID || len(plan.Of.Tasks) != len(checks) {
			t.Errorf("%s: %s, %s, %d tasks of %d checks", name, results.Of.ImportAP.Href, plan.Of.UUID, len(plan.Of.Tasks), len(checks))
		}
	}
}

func compile(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	path := filepath.Join("testdata", "schema", file)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	forbidOthers(document)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compiler.UseRegexpEngine(compileECMA)
	if err := compiler.AddResource(path, document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(path)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// ecma is a regular expression as JSON Schema means it.
type ecma struct{ *regexp2.Regexp }

func (e ecma) MatchString(s string) bool {
	matched, err := e.Regexp.MatchString(s)
	return err == nil && matched // an error is that of a match that took too long
}

func compileECMA(expression string) (jsonschema.Regexp, error) {
	compiled, err := regexp2.Compile(expression, regexp2.ECMAScript|regexp2.Unicode) // \p is of the flag u
	if err != nil {
		return nil, err
	}
	compiled.MatchTimeout = 10 * time.Second
	return ecma{compiled}, nil
}

// forbidOthers lets an object have the properties that a schema names and no others, where
// the schema itself leaves that open: a Kubernetes API server drops them without a word.
func forbidOthers(node any) {
	switch node := node.(type) {
	case map[string]any:
		if _, properties := node["properties"].(map[string]any); properties && node["type"] == "object" {
			if _, said := node["additionalProperties"]; !said {
				node["additionalProperties"] = false
			}
		}
		for _, child := range node {
			forbidOthers(child)
		}
	case []any:
		for _, child := range node {
			forbidOthers(child)
		}
	}
}

func render(t *testing.T, format string, r audit.Report) []byte {
	t.Helper()
	for _, f := range report.Formats(false) {
		if f.Name == format {
			var b bytes.Buffer
			if err := f.Renderer.Render(&b, r); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
	}
	t.Fatalf("there is no format %s", format)
	return nil
}

// What STIG Manager asks of a checklist (nuwcdivnpt/stig-manager-client-modules, ReviewParser).
func TestChecklist(t *testing.T) {
	t.Parallel()
	var checklist struct {
		Target struct {
			HostName string `json:"host_name"`
		} `json:"target_data"`
		STIGs []struct {
			ID    string `json:"stig_id"`
			Rules []struct {
				RuleID string `json:"rule_id_src"`
				Group  string `json:"group_id"`
				Status string `json:"status"`
			} `json:"rules"`
		} `json:"stigs"`
	}
	for name, want := range map[string]string{"clean": "not_a_finding", "findings": "open", "cluster": "open"} {
		if err := json.Unmarshal(render(t, "cklb", reports()[name]), &checklist); err != nil {
			t.Fatal(err)
		}
		if checklist.Target.HostName == "" || len(checklist.STIGs) != 1 || checklist.STIGs[0].ID == "" || len(checklist.STIGs[0].Rules) != 1 {
			t.Fatalf("%s: %+v", name, checklist)
		}
		if rule := checklist.STIGs[0].Rules[0]; rule.Status != want || rule.Group != "V-242428" || rule.RuleID != "SV-242428" {
			t.Errorf("%s: %+v, want %s", name, rule, want)
		}
	}
}
