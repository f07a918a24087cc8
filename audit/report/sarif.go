package report

import (
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/etcdsec/etcdsec/audit"
)

// SARIF writes SARIF 2.1.0 for code-scanning services. It holds what failed, with a
// suppression where it is waived, and what is unknown, as a result of kind "open". What
// passed or does not apply is only counted: services show every result as an alert,
// whatever its kind. Each result has its state against the baseline, where there is one.
type SARIF struct {
	Baseline *audit.Report // an earlier report of the same targets; nil if there is none
}

const (
	informationURI = "https://github.com/etcdsec/etcdsec"
	// fingerprintName has a version, as the specification requires (SARIF 2.1.0 3.27.17): the
	// parts of a fingerprint may change some day.
	fingerprintName = "etcdsecFinding/v1"
	// hostName names the host of a target that every host has for itself, such as 127.0.0.1:2379.
	hostName = "etcdsecHost/v1"
)

// Render implements Renderer.
func (s SARIF) Render(w io.Writer, r audit.Report) error {
	r = makeLegible(r)
	run := sarif.NewRunWithInformationURI(r.Tool.Name, informationURI)
	run.Tool.Driver.WithVersion(r.Tool.Version)
	run.AddInvocation(sarif.NewInvocation().
		WithExecutionSuccessful(r.Summary.Unknown == 0).
		WithStartTimeUtc(r.StartedAt.UTC().Format(time.RFC3339)).
		WithEndTimeUtc(r.FinishedAt.UTC().Format(time.RFC3339)))
	run.WithProperties(sarif.NewPropertyBag().Add("summary", r.Summary))
	run.WithAutomationDetails(sarif.NewRunAutomationDetails().WithID("etcdsec/audit/").WithGuID(runUUID(r)))
	against := s.baseline(r)
	if s.Baseline != nil {
		run.WithBaselineGuID(runUUID(against.before))
	}
	for _, result := range worstFirst(slices.Concat(r.Results, against.gone)) {
		if v := verdictOf(result); v == audit.Pass || v == audit.Skip {
			continue
		}
		if run.GetRuleIndex(result.CheckID) < 0 {
			describeRule(run.AddRule(result.CheckID), result)
		}
		entry := run.CreateResultForRule(result.CheckID)
		describeResult(entry, result)
		if s.Baseline != nil {
			entry.WithBaselineState(against.state(result))
		}
	}
	log := sarif.NewReport()
	log.AddRun(run)
	data, err := json.MarshalIndent(log, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

func describeRule(rule *sarif.ReportingDescriptor, result audit.Result) {
	why := result.Rationale
	if why == "" {
		why = result.Title
	}
	explain := "etcdsec audit explain " + result.CheckID
	references := strings.Join(result.References, ", ")
	markdown := markdownText(why) + "\n\nHow it is tested and what to do: " + codeSpan(explain) + "\n\nReferences: " + markdownText(references)
	rule.WithShortDescription(sarif.NewMultiformatMessageString().WithText(result.Title)).
		WithFullDescription(sarif.NewMultiformatMessageString().WithText(why)).
		WithHelp(sarif.NewMultiformatMessageString().
			WithText(why + "\n\nHow it is tested and what to do: " + explain + "\n\nReferences: " + references).
			WithMarkdown(markdown)).
		WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(level(result.Severity))).
		WithProperties(sarif.NewPropertyBag().
			Add("precision", "very-high").
			Add("problem.severity", level(result.Severity)).
			Add("security-severity", score(result.Severity)).
			WithTags(append([]string{"security", "etcd"}, result.References...)))
}

func describeResult(entry *sarif.Result, result audit.Result) {
	message := result.Evidence
	entry.WithLevel(level(result.Severity))
	if verdictOf(result) == audit.Unknown {
		message = "Could not tell: " + result.Evidence
		entry.WithKind("open").WithLevel(sarif.LevelNone) // 3.27.10: a level goes with a failure only
	} else if len(result.Remediation) > 0 {
		message += "\n\n" + result.Remediation.String()
	}
	properties := sarif.NewPropertyBag().
		Add("target", result.Target).
		Add("verdict", string(result.Verdict)).
		Add("severity", string(result.Severity))
	fingerprints := map[string]string{fingerprintName: result.Fingerprint}
	if result.Host != "" {
		properties.Add("host", result.Host)
		fingerprints[hostName] = result.Host
	}
	entry.WithMessage(sarif.NewTextMessage(result.Target + ": " + message)).
		WithPartialFingerprints(fingerprints).
		WithLocations([]*sarif.Location{locationOf(result)}).
		WithProperties(properties)
	if result.Waiver != nil {
		entry.AddSuppression(sarif.NewSuppression().
			WithKind("external").
			WithStatus("accepted").
			WithJustification(waiverText(result.Waiver)).
			WithProperties(sarif.NewPropertyBag().Add("expires", result.Waiver.Expires.UTC().Format(time.RFC3339))))
	}
}

// locationOf names the target twice: as it is, and as a file that does not exist, because GitHub
// rejects a result without a file.
func locationOf(result audit.Result) *sarif.Location {
	location := sarif.NewLocationWithPhysicalLocation(sarif.NewPhysicalLocation().
		WithArtifactLocation(sarif.NewSimpleArtifactLocation(artifactURI(result.Target))).
		WithRegion(sarif.NewSimpleRegion(1, 1)))
	logical := sarif.NewLogicalLocation().WithName(result.Target).WithFullyQualifiedName(result.Target)
	if result.Kind != "" {
		logical.WithKind(string(result.Kind)).WithFullyQualifiedName(string(result.Kind) + " " + result.Target)
	}
	return location.WithLogicalLocations([]*sarif.LogicalLocation{logical})
}

// artifactURI returns a relative reference below "etcd": etcd/10.0.0.11:2379, or, for settings,
// etcd/HOST:/etc/kubernetes/manifests/etcd.yaml.
func artifactURI(target string) string {
	segments := strings.Split(target, "/")
	for i := range segments {
		segments[i] = url.PathEscape(segments[i])
	}
	return "etcd/" + strings.Join(segments, "/")
}

func level(s audit.Severity) string {
	switch s {
	case audit.Critical, audit.High:
		return sarif.LevelError
	case audit.Medium:
		return sarif.LevelWarning
	default:
		return sarif.LevelNote
	}
}

// score returns the middle of the range that GitHub reads as the same severity: over 9.0
// critical, 7.0 to 8.9 high, 4.0 to 6.9 medium, below low.
func score(s audit.Severity) string {
	switch s {
	case audit.Critical:
		return "9.5"
	case audit.High:
		return "8.0"
	case audit.Medium:
		return "5.5"
	default:
		return "2.0"
	}
}
