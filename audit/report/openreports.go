package report

import (
	"io"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
)

// PolicyReport writes a Kubernetes object with a result for each check on each target, for
// kubectl apply and the dashboards that read such reports. An unknown is an error; a waived
// finding is skipped, with its waiver among the properties.
type PolicyReport struct {
	APIVersion, Kind string
}

// OpenReport returns the renderer for the Report of openreports.io.
func OpenReport() PolicyReport { return PolicyReport{"openreports.io/v1alpha1", "Report"} }

// WGPolicyReport returns the renderer for its predecessor, the PolicyReport of the Kubernetes
// policy working group.
func WGPolicyReport() PolicyReport { return PolicyReport{"wgpolicyk8s.io/v1alpha2", "PolicyReport"} }

// The two differ in their names, and in that a Report names its source.
type policyReport struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   policyMetadata `json:"metadata"`
	Source     string         `json:"source,omitempty"`
	Summary    policySummary  `json:"summary"`
	Results    []policyResult `json:"results"`
}

type policyMetadata struct {
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type policySummary struct {
	Pass  int `json:"pass"`
	Fail  int `json:"fail"`
	Warn  int `json:"warn"`
	Error int `json:"error"`
	Skip  int `json:"skip"`
}

type policyResult struct {
	Source     string            `json:"source"`
	Policy     string            `json:"policy"`
	Rule       string            `json:"rule"`
	Category   string            `json:"category"`
	Severity   string            `json:"severity"`
	Result     string            `json:"result"`
	Scored     bool              `json:"scored"`
	Timestamp  policyTime        `json:"timestamp"`
	Message    string            `json:"message"`
	Properties map[string]string `json:"properties"`
}

type policyTime struct {
	Seconds int64 `json:"seconds"`
	Nanos   int32 `json:"nanos"`
}

// Render implements Renderer.
func (p PolicyReport) Render(w io.Writer, r audit.Report) error {
	r = makeLegible(r)
	object := policyReport{
		APIVersion: p.APIVersion,
		Kind:       p.Kind,
		Metadata: policyMetadata{
			Name:        "etcdsec-audit",
			Labels:      map[string]string{"app.kubernetes.io/managed-by": "etcdsec"},
			Annotations: map[string]string{"etcdsec.dev/version": r.Tool.Version},
		},
		Results: []policyResult{},
	}
	if p == OpenReport() {
		object.Source = r.Tool.Name
	}
	for _, result := range r.Results {
		entry := policyResultOf(r, result)
		object.Summary.add(entry.Result)
		object.Results = append(object.Results, entry)
	}
	data, err := yaml.Marshal(object)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

func policyResultOf(r audit.Report, result audit.Result) policyResult {
	entry := policyResult{
		Source:    r.Tool.Name,
		Policy:    result.CheckID,
		Rule:      result.Target,
		Category:  "etcd",
		Severity:  string(result.Severity),
		Result:    "skip",
		Scored:    true,
		Timestamp: policyTime{Seconds: r.FinishedAt.Unix()},
		Message:   result.Evidence,
		Properties: map[string]string{
			"target":      result.Target,
			"title":       result.Title,
			"fingerprint": result.Fingerprint,
		},
	}
	if result.Kind != "" {
		entry.Properties["kind"] = string(result.Kind)
	}
	if result.Host != "" {
		entry.Properties["host"] = result.Host
	}
	switch verdictOf(result) {
	case audit.Pass:
		entry.Result = "pass"
	case audit.Fail:
		entry.Result = "fail"
		entry.Properties["remediation"] = result.Remediation.String()
	case audit.Unknown:
		entry.Result = "error"
	case waived:
		entry.Properties["waived"] = waiverText(result.Waiver)
	default: // a skip
	}
	return entry
}

func (s *policySummary) add(result string) {
	switch result {
	case "pass":
		s.Pass++
	case "fail":
		s.Fail++
	case "error":
		s.Error++
	default:
		s.Skip++
	}
}
